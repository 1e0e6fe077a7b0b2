/** A home with a mesh, made without the CLI: what `init` and `join` leave behind. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  acceptInvite,
  createInvite,
  decodeInviteToken,
  exportSeed,
  foundMesh,
  generateMemberKeys,
  generateSigningKeyPair,
  type MemberKeys,
  type MeshFile,
  writeKeyFile,
  writeMeshFile,
} from '@claudemesh/identity'
import { createIdSource, type DaemonPaths, daemonPaths, meshFilePath } from '@claudemesh/protocol'

export interface TestHome {
  readonly home: string
  readonly slug: string
  readonly paths: DaemonPaths
  readonly keys: MemberKeys
  readonly meshFile: MeshFile
}

export interface HomeOptions {
  readonly slug?: string
  readonly name?: string
  /** Default: an address at which nobody listens. */
  readonly brokerUrl?: string
}

const nextId = createIdSource(() => Date.now())
/** The discard port: nothing answers there. */
const nobody = 'ws://127.0.0.1:9'
const msPerDay = 86_400_000

/** A home whose member founded the mesh. */
export function foundHomeAt(directory: string, options: HomeOptions = {}): TestHome {
  const { slug = 'home', name = 'founder', brokerUrl = nobody } = options
  const keys = generateMemberKeys()
  const root = generateSigningKeyPair()
  const { mesh, chain } = foundMesh({ slug, name, meshId: nextId(), now: Date.now(), keys, root })
  const memberId = keys.signing.publicKey
  const broker = { url: brokerUrl, local: false }
  return writeHome(directory, {
    slug,
    keys,
    meshFile: { mesh, rootSeed: exportSeed(root), broker, name, memberId, chain },
  })
}

/** The home of another member of the same mesh, joined by an invite of the first. */
export function joinHomeAt(
  directory: string,
  host: TestHome,
  options: Omit<HomeOptions, 'slug'> & { readonly name: string },
): TestHome {
  const now = Date.now()
  const { mesh, chain: issuerChain, broker } = host.meshFile
  const { token } = createInvite({
    mesh,
    brokerUrl: options.brokerUrl ?? broker.url,
    issuer: { signing: host.keys.signing, chain: issuerChain },
    inviteId: nextId(),
    role: 'member',
    uses: 1,
    notBefore: now,
    notAfter: now + msPerDay,
  })
  const keys = generateMemberKeys()
  const invite = decodeInviteToken(token)
  const chain = acceptInvite({ invite, name: options.name, keys, now })
  const meshFile: MeshFile = {
    mesh,
    rootSeed: null,
    broker: { url: invite.brokerUrl, local: false },
    name: options.name,
    memberId: keys.signing.publicKey,
    chain,
  }
  return writeHome(directory, { slug: host.slug, keys, meshFile })
}

function writeHome(home: string, made: Pick<TestHome, 'slug' | 'keys' | 'meshFile'>): TestHome {
  const paths = daemonPaths(home, made.slug)
  const meshPath = meshFilePath(home, made.slug)
  for (const directory of [dirname(meshPath), paths.directory]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }
  writeMeshFile(meshPath, made.meshFile)
  writeKeyFile(paths.keypair, made.keys)
  return { home, paths, ...made }
}
