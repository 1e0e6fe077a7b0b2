/** Part of the composition root: what accepts a message for a daemon that is not running (03 §5). */
import { MeshError, type SendRequest, type SendResponse, type TraceContext } from '@claudemesh/protocol'
import { measureDisk } from '@claudemesh/storage'
import { loadConfig } from '../config/config.ts'
import { readHooksFile } from '../hooks/hooks-file.ts'
import { preSendName } from '../hooks/triggers.ts'
import { BrokerTerms } from '../lifecycle/broker-terms.ts'
import { type ClaimedHome, claimHome } from '../lifecycle/claim-home.ts'
import { OwnIdentity } from '../lifecycle/identity.ts'
import { acceptBatchMaxDefault } from '../limits.ts'
import { Members } from '../members/members.ts'
import { Outbox } from '../outbox/outbox.ts'
import { systemRuntime } from '../runtime.ts'
import { AcceptSend } from '../send/accept-send.ts'

/**
 * Stores a message in the outbox of a stopped daemon, by the accept path of a running one and under its lock; the next start
 * sends it. Names are those that the daemon last knew.
 *
 * @returns null when the daemon runs, and accepts it itself
 * @throws MeshError whatever a `POST` would be answered, or a start would meet before it opens its outbox
 */
export async function sendStopped(
  place: { readonly home: string; readonly mesh: string },
  request: SendRequest,
  trace: TraceContext | null,
): Promise<SendResponse | null> {
  const runtime = systemRuntime()
  const claimed = claimStopped({ ...place, now: runtime.now, daemonsMax: () => null })
  if (claimed === null) return null
  const { paths } = claimed
  const opened: { close(): void }[] = []
  try {
    const { config } = loadConfig({ ...place, flags: {} })
    const outbox = Outbox.open({ path: paths.outboxDatabase, runtime, acceptBatchMax: acceptBatchMaxDefault })
    opened.push(outbox)
    const { meshFile } = OwnIdentity.read({ home: place.home, slug: place.mesh, paths, now: runtime.now() })
    const { mesh, memberId: selfId } = meshFile
    const ofMesh = { mesh: { meshId: mesh.mesh_id, rootKey: mesh.root_key }, selfId }
    const members = Members.open({ path: paths.membersDatabase, runtime, ...ofMesh })
    opened.push(members)
    const terms = new BrokerTerms(members)
    const { pressure } = measureDisk({ directory: paths.directory, budgetBytes: config.disk.budgetBytes })
    const hooks = config.hooks.enabled ? await readHooksFile(`${paths.hooks}/hooks.toml`) : []
    const isGated = hooks.some(({ name }) => name === preSendName)
    const accept = new AcceptSend({
      ...{ outbox, members, runtime },
      refreshDirectory: askNobody,
      inlineBytes: () => terms.inlineBytes,
      diskPressure: () => pressure,
      wake: () => undefined,
      preSend: () => (isGated ? refuse : null),
    })
    return (await accept.accept(request, null, trace)).body
  } finally {
    for (const store of opened.reverse()) store.close()
    claimed.release()
  }
}

function claimStopped(o: Parameters<typeof claimHome>[0]): ClaimedHome | null {
  try {
    return claimHome(o)
  } catch (error) {
    if (error instanceof MeshError && error.code === 'already_running') return null
    throw error
  }
}

/** Whom a hook lets through is for the daemon to ask. */
function refuse(): Promise<never> {
  return Promise.reject(
    new MeshError('pre_send_unavailable', {
      detail: 'a pre-send hook is configured, and the daemon that asks it is not running',
      hint: 'Start it: `claudemesh daemon start`.',
    }),
  )
}

function askNobody(): Promise<never> {
  return Promise.reject(new MeshError('broker_unavailable', { detail: 'the daemon is not running' }))
}
