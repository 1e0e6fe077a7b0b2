/**
 * Members by the hundred in one process: each with keys and certificates of its own on the daemon's own link, which says
 * hello, keeps alive and comes back as in a daemon. Of what a daemon does beyond that, they acknowledge deliveries.
 */
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import {
  generateMemberKeys,
  generateSigningKeyPair,
  signInviteCertificate,
  signMemberCertificate,
  verifyChain,
} from '@claudemesh/identity'
import { featuresRequiredByDefault } from '@claudemesh/protocol'
import type { SqliteStore } from '../../apps/broker/src/store/sqlite/sqlite-store.ts'
import { Link } from '../../apps/daemon/src/link/link.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { hostFingerprintOf, message } from '../../test/support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../../test/support/raw-mesh.ts'
import { silentLog } from '../../test/support/silent-log.ts'
import { type FleetJob, type FleetReport, topicOfAll } from '../fleet.ts'

const [url = '', meshes = '', membersPerMesh = ''] = process.argv.slice(2)
const runtime = systemRuntime()
const log = silentLog()
const fleet = Array.from({ length: Number(meshes) }, () => {
  const mesh = new RawMesh()
  return [mesh.founder, ...Array.from({ length: Number(membersPerMesh) - 1 }, (_, n) => join(mesh, `member-${n}`))]
})
const members = fleet.flat()
const links: Link[] = []
let open = 0
/** When connections came to be open, when attempts failed, and when deliveries arrived, since the last report. */
let seen = { opened: [] as number[], failed: [] as number[], delivered: [] as number[] }
const failures = new Map<string, number>()

const jobs: { readonly [K in FleetJob['kind']]: (job: Extract<FleetJob, { kind: K }>) => Promise<void> } = {
  register: ({ databasePath }) => register(databasePath),
  connect: ({ perSecond }) => connect(perSecond),
  post: ({ sealedBytes }) => post(sealedBytes),
  report: async () => undefined,
}

process.on('message', async (job: FleetJob) => {
  // The table's type pairs each kind with its job; the compiler cannot follow that through an index.
  await (jobs[job.kind] as (job: FleetJob) => Promise<void>)(job)
  const usage = process.cpuUsage()
  const processorMs = (usage.user + usage.system) / 1_000
  const report: FleetReport = { open, ...seen, failures: [...failures], processorMs }
  seen = { opened: [], failed: [], delivered: [] }
  failures.clear()
  process.send?.(report)
})
process.send?.('ready')

/** As by an invite of its own, without the token that is read and verified on the way: of ten thousand that takes minutes. */
function join({ mesh, founder }: RawMesh, name: string): MemberIdentity {
  const keys = generateMemberKeys()
  const inviteKeys = generateSigningKeyPair()
  const terms = { meshId: mesh.mesh_id, role: 'member', notBefore: Date.now() } as const
  const invite = signInviteCertificate({
    ...terms,
    inviteId: runtime.nextId(),
    inviteKey: inviteKeys.publicKey,
    uses: 1,
    notAfter: Date.now() + 86_400_000,
    issuer: founder.keys.signing,
  })
  const memberId = keys.signing.publicKey
  const own = signMemberCertificate({ ...terms, memberId, name, keys, epoch: 0, notAfter: null, issuer: inviteKeys })
  return { mesh, memberId, name, keys, chain: [own, invite, ...founder.chain] }
}

/**
 * Writes every member into the broker's database as if it had been here a moment ago, by the broker's own code: hello by
 * hello it would take minutes. No broker runs meanwhile.
 */
async function register(databasePath: string): Promise<void> {
  const store = await openStore(databasePath)
  await Promise.all(members.map((member) => registerOne(store, member)))
  await store.close()
}

/** The store as it is built: its migrations lie beside it there. */
async function openStore(path: string): Promise<SqliteStore> {
  const broker = pathToFileURL(createRequire(import.meta.url).resolve('@claudemesh/broker'))
  const built = (await import(new URL('store/sqlite/sqlite-store.js', broker).href)) as {
    readonly SqliteStore: typeof SqliteStore
  }
  return built.SqliteStore.open({ path, runtime })
}

async function registerOne(store: SqliteStore, { mesh, memberId, chain }: MemberIdentity): Promise<void> {
  const at = runtime.now()
  const verdict = verifyChain({ mesh, chain, now: at })
  if (!verdict.ok) throw new Error(`the chain of a member is refused: ${verdict.reason}`)
  const hostFingerprint = hostFingerprintOf(memberId)
  const admission = { ...verdict.member, mesh, chain, hostFingerprint, ephemeralTtlMs: null, mayRegister: true, at }
  const outcome = await store.admit(admission)
  if (outcome.kind !== 'admitted') throw new Error(`a member is refused: ${outcome.kind}`)
  const key = { meshId: mesh.mesh_id, memberId }
  await store.subscribe(key, { topic: topicOfAll, subscribed: true, at })
  const seat = { ...key, connectionId: runtime.nextId() }
  const { instanceId, nodeId } = { instanceId: runtime.nextId(), nodeId: runtime.nextId() }
  await store.seats.take({ ...seat, instanceId, nodeId, policy: 'prefer_newest', now: at })
  await store.seats.open(seat, at)
}

async function connect(perSecond: number): Promise<void> {
  const begun = performance.now()
  for (const [index, member] of members.entries()) {
    const early = (index * 1_000) / perSecond - (performance.now() - begun)
    // Also when it is late: those that were begun need their turn.
    await pause(Math.max(0, early))
    links.push(startLink(member))
  }
}

function startLink({ mesh, memberId, chain, keys }: MemberIdentity): Link {
  const link: Link = new Link({
    url,
    identity: () => ({ mesh, memberId, chain, keys, hostFingerprint: hostFingerprintOf(memberId) }),
    ephemeralTtlMs: null,
    requireFeatures: featuresRequiredByDefault,
    daemonVersion: '0.0.0',
    runtime,
    log,
    onUnreachable: () => {
      seen.failed.push(Date.now())
      const why = link.status().last_error ?? 'no reason'
      failures.set(why, (failures.get(why) ?? 0) + 1)
    },
    handlers: {
      opened: () => {
        open += 1
        seen.opened.push(Date.now())
      },
      closed: () => {
        open -= 1
      },
      deliver: (items) => {
        seen.delivered.push(Date.now())
        link.acknowledge(items.map(({ delivery_id }) => ({ delivery_id, outcome: 'stored' })))
      },
      sendResults: (items) => {
        for (const { status } of items) if (status !== 201) throw new Error(`the broker answered ${status}`)
      },
      receipts: (items) => void link.acknowledge(items.map(({ delivery_id }) => ({ delivery_id, outcome: 'stored' }))),
      events: () => undefined,
      fatal: ({ name, reason }) => {
        throw new Error(`a link ended for good: ${name}: ${reason}`)
      },
    },
  })
  link.start()
  return link
}

/** The first member of each mesh writes to all others of it. */
async function post(sealedBytes: number): Promise<void> {
  const to = { kind: 'topic', ref: topicOfAll } as const
  for (let founder = 0; founder < links.length; founder += Number(membersPerMesh)) {
    const item = message({ to, sealed: randomBytes(sealedBytes), receipts: false })
    if (links[founder]?.transmit([item]) !== true) throw new Error('the link of a sender is not open')
  }
}
