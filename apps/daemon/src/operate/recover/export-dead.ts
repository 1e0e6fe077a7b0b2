import { type DaemonPaths, decodeEnvelope } from '@claudemesh/protocol'
import { ensurePrivateDirectory, writeFileAtomic } from '@claudemesh/storage'
import { acceptBatchMaxDefault } from '../../limits.ts'
import { Outbox } from '../../outbox/outbox.ts'
import type { Runtime } from '../../runtime.ts'

const pageRows = 500

/**
 * Writes the sends of an outbox that have ended without success to a file of JSON lines, with their texts.
 *
 * @param o.from the outbox, which is sound
 * @returns the file, null when there is no such send
 * @throws MeshError `insufficient_storage`, `storage_failed`
 */
export function exportDead(o: { paths: DaemonPaths; from: string; runtime: Runtime }): string | null {
  const outbox = Outbox.open({ path: o.from, runtime: o.runtime, acceptBatchMax: acceptBatchMaxDefault })
  try {
    const lines = [...deadRows(outbox)].map((row) => `${JSON.stringify(row)}\n`)
    if (lines.length === 0) return null
    ensurePrivateDirectory(o.paths.recovered)
    const time = new Date(o.runtime.now()).toISOString().replaceAll(/[-:.]/g, '')
    const path = `${o.paths.recovered}/dead-${time}.jsonl`
    writeFileAtomic(path, lines.join(''), { mode: 0o600 })
    return path
  } finally {
    outbox.close()
  }
}

function* deadRows(outbox: Outbox): Iterable<object> {
  for (let after: string | null = null; ; ) {
    const page: ReturnType<Outbox['list']> = outbox.list({ status: 'dead', after, limit: pageRows })
    for (const summary of page ?? []) {
      const payload = outbox.get(summary.id)?.payload ?? null
      const envelope = payload === null ? null : decodeEnvelope(payload)
      yield {
        id: summary.id,
        client_message_id: summary.clientMessageId,
        destination_kind: summary.destinationKind,
        destination_ref: summary.destinationRef,
        reply_to_id: summary.replyToId,
        priority: summary.priority,
        enqueued_at: summary.enqueuedAt,
        attempts: summary.attempts,
        last_error: summary.lastError,
        message: envelope === null ? null : envelope.body.toString('utf8'),
        meta: envelope?.meta ?? null,
      }
    }
    const last = page?.at(-1)
    if (last === undefined) return
    after = last.id
  }
}
