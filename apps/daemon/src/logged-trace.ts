/** The trace of a message, in the lines of the log that name it: whoever looks at the trace finds them by its id. */
import { decodeEnvelope, type JsonObject, traceIdOf, traceOfMeta } from '@claudemesh/protocol'

/** Of a row whose contents are still kept. */
export function loggedTraceOfRow(row: { readonly payload: Uint8Array | null } | null): { readonly trace_id?: string } {
  const payload = row?.payload ?? null
  return loggedTrace(payload === null ? null : (decodeEnvelope(payload)?.meta ?? null))
}

export function loggedTrace(meta: JsonObject | null): { readonly trace_id?: string } {
  const trace = traceOfMeta(meta)
  return trace === null ? {} : { trace_id: traceIdOf(trace) }
}
