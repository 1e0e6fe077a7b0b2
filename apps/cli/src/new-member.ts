/**
 * How a home gets a mesh: founded here, or joined with an invite. Both leave the same two files, the member's keys and
 * then the mesh file.
 *
 * 1. The mesh file is written last and makes the member exist: killed before it, the same command can be repeated.
 * 2. The keys of a member that exists are never written over.
 * 3. Messages of another member are nobody's to take over: a home that holds databases and no mesh file is refused.
 * 4. The daemon's lock keeps two that make the same mesh apart.
 */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import {
  acceptInvite,
  decodeInviteToken,
  exportSeed,
  foundMesh,
  generateMemberKeys,
  generateSigningKeyPair,
  type MeshFile,
  originOf,
  readMeshFile,
  writeKeyFile,
  writeMeshFile,
} from '@claudemesh/identity'
import { createIdSource } from '@claudemesh/protocol'
import { ensurePrivateDirectory, FileLock, listDatabases } from '@claudemesh/storage'
import { assertSlug, listMeshes } from './mesh-selection.ts'
import { daemonPaths, homePaths, MeshError, meshFilePath } from './protocol.ts'

export interface Founding {
  readonly home: string
  readonly slug: string
  readonly name: string
  /** Null: a broker on this host, brought up by the daemon. */
  readonly brokerUrl: string | null
}

/** Makes a mesh with a root key of its own and this host's member as its first admin. */
export async function foundHere(o: Founding): Promise<MeshFile> {
  const broker =
    o.brokerUrl === null
      ? { url: findLocalBrokerUrl(o.home) ?? (await chooseLocalBrokerUrl()), local: true }
      : { url: checkedUrl(o.brokerUrl), local: false }
  return admit({ home: o.home, slug: o.slug }, () => {
    const keys = generateMemberKeys()
    const root = generateSigningKeyPair()
    const now = Date.now()
    const meshId = createIdSource(Date.now)()
    const { mesh, chain } = foundMesh({ slug: o.slug, name: o.name, meshId, now, keys, root })
    const rootSeed = exportSeed(root)
    return { keys, file: { mesh, rootSeed, broker, name: o.name, memberId: keys.signing.publicKey, chain } }
  })
}

export interface Joining {
  readonly home: string
  /** Null: the slug that the mesh has at its founder. */
  readonly slug: string | null
  readonly name: string
  readonly token: string
  /** For a member that lasts as long as its daemon: after how long without it the broker removes the member. */
  readonly ephemeralTtlMs: number | null
}

/** Makes this host a member of the mesh that a token invites to. */
export async function joinHere(o: Joining): Promise<{ readonly slug: string; readonly file: MeshFile }> {
  const invite = decodeInviteToken(o.token)
  const slug = o.slug ?? invite.mesh.slug
  assertSlug(slug)
  await clearRemains({ home: o.home, slug })
  const file = admit({ home: o.home, slug }, () => {
    const keys = generateMemberKeys()
    const chain = acceptInvite({ invite, name: o.name, keys, now: Date.now() })
    const broker = { url: invite.brokerUrl, local: false }
    const ephemeral = o.ephemeralTtlMs === null ? {} : { ephemeralTtlMs: o.ephemeralTtlMs }
    const file = { mesh: invite.mesh, rootSeed: null, broker, name: o.name, memberId: keys.signing.publicKey, chain }
    return { keys, file: { ...file, ...ephemeral } }
  })
  return { slug, file }
}

interface Place {
  readonly home: string
  readonly slug: string
}

/** An ephemeral member whose daemon was killed is in nobody's way. */
async function clearRemains(place: Place): Promise<void> {
  if (!existsSync(meshFilePath(place.home, place.slug))) return
  const { forgetEphemeral, isEphemeralRemains } = await import('@claudemesh/daemon')
  if (!isEphemeralRemains(place)) return
  // While its daemon runs the keys are in memory, and that is no reason to take anything away.
  const lock = FileLock.acquire(daemonPaths(place.home, place.slug).lock)
  if (lock === null) return
  try {
    forgetEphemeral(place)
  } finally {
    lock.release()
  }
}

function admit(
  { home, slug }: Place,
  make: () => { keys: ReturnType<typeof generateMemberKeys>; file: MeshFile },
): MeshFile {
  assertSlug(slug)
  const paths = daemonPaths(home, slug)
  assertFree({ home, slug })
  // What is made first can fail for reasons of the request; nothing is on disk by then.
  const { keys, file } = make()
  for (const directory of [home, homePaths(home).meshes, join(home, 'daemon'), paths.directory]) {
    ensurePrivateDirectory(directory)
  }
  const lock = FileLock.acquire(paths.lock)
  if (lock === null)
    throw new MeshError('already_running', { detail: `another process is at work in ${paths.directory}` })
  try {
    assertFree({ home, slug })
    writeKeyFile(paths.keypair, keys)
    writeMeshFile(meshFilePath(home, slug), file)
  } finally {
    lock.release()
  }
  return file
}

function assertFree({ home, slug }: Place): void {
  const path = meshFilePath(home, slug)
  if (existsSync(path)) {
    throw new MeshError('mesh_exists', {
      detail: `this home already has the mesh ${slug} (${path})`,
      hint: `Start its daemon with \`claudemesh daemon start --mesh ${slug}\`, or choose another slug with --mesh.`,
      data: { mesh: slug },
    })
  }
  const { directory } = daemonPaths(home, slug)
  const databases = listDatabases(directory)
  if (databases.length === 0) return
  throw new MeshError('mesh_exists', {
    detail: `${directory} holds ${databases.join(', ')} of a member whose mesh file is gone`,
    hint: 'Restore that member from its backup, or move the directory away.',
    data: { mesh: slug },
  })
}

/** All local meshes of a home share its one local broker. */
function findLocalBrokerUrl(home: string): string | null {
  for (const slug of listMeshes(home)) {
    const { broker } = readMeshFile(meshFilePath(home, slug))
    if (broker.local) return broker.url
  }
  return null
}

/** The system names a free port; it is written down, so that invites stay valid. */
async function chooseLocalBrokerUrl(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return `ws://127.0.0.1:${address.port}/v1/ws`
}

/** A URL without a path means the path at which every broker of this protocol listens. */
function checkedUrl(text: string): string {
  originOf(text)
  const url = new URL(text)
  if (url.pathname === '/') url.pathname = '/v1/ws'
  return url.href
}
