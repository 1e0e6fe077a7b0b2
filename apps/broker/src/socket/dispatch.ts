/** What each frame of a daemon does: a table of handlers. In which state a frame is taken at all is in states.ts. */
import type { DaemonFrame, Frame, SendResult } from '@claudemesh/protocol'
import type { Submission } from '../accept/accepting.ts'
import type { Deliverer } from '../deliver/deliver.ts'
import type { Metrics } from '../metrics.ts'
import type { Presence } from '../presence/presence.ts'
import { toMemberRecord } from '../requests/members.ts'
import { Postponed, type RequestDependencies } from '../requests/request-handler.ts'
import { answerRequest } from '../requests/requests.ts'
import type { Member } from '../store/rows.ts'
import type { Connection, Identity } from './connection.ts'
import type { Connections } from './connections.ts'
import { type HelloDependencies, judgeHello } from './hello.ts'
import type { SpendOnHandshake } from './listener.ts'
import type { MeshConnections } from './mesh-connections.ts'
import { answerNegotiation, offerFeatures } from './negotiation.ts'

export interface DispatchDependencies {
  readonly hello: HelloDependencies
  readonly connections: Connections
  readonly everywhere: MeshConnections
  readonly presence: Presence
  readonly deliverer: Deliverer
  readonly requests: RequestDependencies
  readonly submit: (submissions: readonly Submission[]) => Promise<readonly SendResult[]>
  readonly bytesMax: { readonly inline: number; readonly blob: number | null }
  readonly welcomeLimits: Frame<'welcome'>['limits']
  readonly metrics: Metrics
  readonly report: (error: unknown) => void
}

type Handlers = {
  readonly [T in DaemonFrame['type']]: (
    dependencies: DispatchDependencies,
    connection: Connection,
    frame: Frame<T>,
    spend: SpendOnHandshake,
  ) => Promise<void>
}

const handlers: Handlers = {
  async hello(dependencies, connection, frame, spend) {
    connection.authenticate()
    const goesOn = (certificates: number) => spend(certificates) && connection.state === 'authenticating'
    const verdict = await judgeHello(dependencies.hello, frame, { nonce: connection.nonce, goesOn })
    dependencies.metrics.counters.hellos.inc({ result: verdict.ok ? 'admitted' : verdict.reason.kind })
    // The peer may have gone while it was judged.
    if (connection.state !== 'authenticating') return
    if (!verdict.ok) {
      connection.close(verdict.close, verdict.reason)
      return
    }
    const seated = await takeSeat(dependencies, connection, verdict.identity)
    if (!seated) return
    connection.welcome(verdict.identity)
    dependencies.connections.add(connection)
    // If the member went since it was let in, that has found no connection to close.
    const member = await dependencies.requests.store.findMember(connection.identity)
    if (member?.status !== 'active') {
      connection.close(member?.status === 'revoked' ? 'member_revoked' : 'service_restart')
      return
    }
    connection.send({
      type: 'welcome',
      connection_id: connection.connectionId,
      limits: dependencies.welcomeLimits,
    })
    // Others need the chain of a member that is new or has new keys.
    if (verdict.changed !== null) announceMember(dependencies, connection, member)
  },

  async feature_negotiation_request(dependencies, connection, frame) {
    const offered = offerFeatures(connection.identity.settings, dependencies.bytesMax)
    const { response, refusal } = answerNegotiation(offered, frame)
    connection.send(response)
    if (refusal !== null) {
      connection.close('feature_unavailable', refusal)
      return
    }
    connection.open()
    dependencies.deliverer.attach(connection)
    const { meshId, memberId, connectionId } = connection
    await dependencies.presence.opened({ meshId, memberId, connectionId })
  },

  async send(dependencies, connection, frame) {
    const cost = {
      messages: frame.items.length,
      bytes: frame.items.reduce((bytes, item) => bytes + item.sealed.length, 0),
      requests: 0,
    }
    connection.begin(cost)
    try {
      const sender = connection.identity
      const results = await dependencies.submit(frame.items.map((item) => ({ sender, item })))
      for (const [status, count] of tally(results.map((result) => result.status))) {
        dependencies.metrics.counters.sends.inc({ status: String(status) }, count)
      }
      connection.send({ type: 'send_results', items: [...results] })
    } finally {
      connection.answered(cost)
    }
  },

  async deliver_ack(dependencies, connection, frame) {
    const cost = { messages: frame.items.length, bytes: 0, requests: 0 }
    connection.begin(cost)
    try {
      await dependencies.deliverer.acknowledge(connection, frame.items)
      for (const [outcome, count] of tally(frame.items.map((item) => item.outcome))) {
        dependencies.metrics.counters.acknowledgements.inc({ outcome }, count)
      }
    } finally {
      connection.answered(cost)
    }
  },

  async request(dependencies, connection, frame) {
    const cost = { messages: 0, bytes: 0, requests: 1 }
    connection.begin(cost)
    try {
      await answerInTurn(dependencies, connection, frame)
    } finally {
      connection.answered(cost)
    }
  },
}

/** How often each value is there: a metric is looked up by its labels, which costs more than to count. */
function tally<T>(values: readonly T[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

/** Takes a seat for a connection by the policy of its mesh. @returns whether it may go on */
async function takeSeat(
  { connections, everywhere, presence }: DispatchDependencies,
  connection: Connection,
  { meshId, memberId, settings, options }: Identity,
): Promise<boolean> {
  const { connectionId } = connection
  // From now on another connection of the member may take its seat away.
  connections.expect(connection)
  const outcome = await presence.take({
    ...{ meshId, memberId, connectionId },
    instanceId: options.instance_id,
    policy: settings.concurrencyPolicy,
  })
  if (outcome.kind === 'refused') connection.close('member_already_connected')
  else if (outcome.kind === 'node_ended') connection.close('service_restart')
  else for (const seat of outcome.ended) everywhere.end(seat)
  if (outcome.kind !== 'seated') return false
  if (connection.state === 'authenticating') return true
  presence.left({ meshId, memberId, connectionId })
  return false
}

/** A call that waits does so between two turns. */
async function answerInTurn(
  { requests }: DispatchDependencies,
  connection: Connection,
  frame: Frame<'request'>,
): Promise<void> {
  const { turns, identity } = connection
  const call = { askedAt: requests.runtime.monotonicMs(), ended: turns.ended }
  let next = () => answerRequest(requests, identity, frame, call)
  for (;;) {
    const answer = await turns.take(async () => {
      const found = await next()
      if (!(found instanceof Postponed)) connection.send(found)
      return found
    })
    if (!(answer instanceof Postponed)) return
    const wake = await answer.until
    next = () => answer.again(wake)
  }
}

type Handler = (
  dependencies: DispatchDependencies,
  connection: Connection,
  frame: DaemonFrame,
  spend: SpendOnHandshake,
) => Promise<void>

/** Hands a frame to its handler. Where one fails, the peer is told to come back: the fault is on this side. */
export async function dispatch(
  dependencies: DispatchDependencies,
  connection: Connection,
  frame: DaemonFrame,
  spend: SpendOnHandshake,
): Promise<void> {
  // The table's type pairs each handler with its own frame; the compiler cannot follow that through an index.
  const handler = handlers[frame.type] as Handler
  try {
    await handler(dependencies, connection, frame, spend)
  } catch (error) {
    dependencies.report(error)
    connection.close('service_restart', { kind: 'internal_error' })
  }
}

function announceMember({ everywhere }: DispatchDependencies, { meshId }: Connection, member: Member): void {
  everywhere.broadcast(meshId, [{ kind: 'member', member: toMemberRecord(member) }])
}
