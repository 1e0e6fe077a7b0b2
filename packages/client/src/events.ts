/**
 * The daemon's events as an endless list (03 §2).
 *
 * 1. A connection that ends is made again from the last position seen, so that nothing is missed across restarts of
 *    the daemon; what it can no longer resume arrives as a `resync` event, after which state must be read anew.
 * 2. It ends when its signal fires or its reader stops, and never by itself.
 * 3. The first connection is the caller's to judge: when no daemon answers then, the error is thrown.
 */
import type { EventType, MeshEvent } from '@claudemesh/protocol'
import { MeshError } from './protocol.ts'
import type { ClientRuntime } from './runtime.ts'
import { EventStreamParser, type StreamEvent } from './sse.ts'
import { type Transport, withQuery } from './transport.ts'

/** How an endless list is followed, whatever it is of. */
export interface FollowOptions {
  /** The id of the last event seen; absent: from now on. */
  readonly since?: string
  readonly signal?: AbortSignal
  /** Called when an established stream ends, before it is tried again. */
  readonly onInterrupted?: (error: MeshError) => void
  /** Called when the stream stands, at first and again after each interruption. */
  readonly onConnected?: () => void
}

export interface EventsOptions extends FollowOptions {
  /** Absent: every type. */
  readonly types?: readonly EventType[]
}

const reconnectMsBase = 100
const reconnectMsCap = 5_000

export async function* followEvents(
  transport: Transport,
  runtime: ClientRuntime,
  options: EventsOptions,
): AsyncGenerator<MeshEvent, void, undefined> {
  const path = withQuery('/v1/events', { types: options.types?.join(',') })
  for await (const event of followStream(transport, runtime, path, options)) yield toMeshEvent(event)
}

/** The events of any route that serves them. */
export async function* followStream(
  transport: Transport,
  runtime: ClientRuntime,
  path: string,
  options: FollowOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
  let position = options.since ?? ''
  let failures = 0
  let established = false
  for (;;) {
    const parser = new EventStreamParser(position)
    try {
      for await (const step of readStream(transport, parser, { path, signal: options.signal })) {
        established = true
        failures = 0
        if (step !== 'connected') yield step
        else options.onConnected?.()
      }
      throw new MeshError('daemon_unreachable', { detail: 'the daemon ended the event stream' })
    } catch (cause) {
      if (options.signal?.aborted === true) return
      const error = cause instanceof MeshError ? cause : transport.failure(cause)
      if (!established || !canPass(error)) throw error
      if (failures === 0) options.onInterrupted?.(error)
    }
    position = parser.lastEventId
    failures += 1
    const ceiling = Math.min(reconnectMsCap, reconnectMsBase * 2 ** Math.min(failures, 10))
    const delayMs = Math.max(parser.retryMs ?? 0, ceiling) * (0.5 + runtime.random() / 2)
    if (!(await slept(runtime, delayMs, options.signal))) return
  }
}

async function* readStream(
  transport: Transport,
  parser: EventStreamParser,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal | undefined },
): AsyncGenerator<StreamEvent | 'connected', void, undefined> {
  const headers: Record<string, string> = parser.lastEventId === '' ? {} : { 'last-event-id': parser.lastEventId }
  const stream = await transport.stream(path, headers, signal)
  try {
    yield 'connected'
    const decoder = new TextDecoder()
    for await (const chunk of stream.chunks) yield* parser.push(decoder.decode(chunk, { stream: true }))
  } finally {
    stream.close()
  }
}

function toMeshEvent(event: StreamEvent): MeshEvent {
  const data: unknown = JSON.parse(event.data)
  return {
    id: event.id,
    // The daemon's own event types; one that a newer daemon added reaches the reader under its name.
    type: event.type as MeshEvent['type'],
    data: typeof data === 'object' && data !== null ? { ...data } : { value: data },
  }
}

/** Whether the same stream can be had later: everything but a request that is wrong or not allowed. */
function canPass(error: MeshError): boolean {
  return error.retryable
}

/** @returns false when the signal fired first */
async function slept(runtime: ClientRuntime, ms: number, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await runtime.sleep(ms, signal)
    return true
  } catch (cause) {
    if (signal?.aborted === true) return false
    throw cause
  }
}
