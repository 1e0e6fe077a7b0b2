import type { Health } from '@claudemesh/protocol'

/** What scripts ask of a running daemon, at the top of the document. */
export function describeRunning(health: Health) {
  const { pending, inflight, done, dead, aborted } = health.outbox
  return {
    running: true as const,
    mesh: health.mesh,
    member_id: health.member_id,
    name: health.name,
    pid: health.pid,
    socket: health.socket,
    queue: { pending, inflight, done, dead, aborted },
  }
}
