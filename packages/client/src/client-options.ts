/** What a client is made with, and what its sends take and answer. */
import type { Problem, SendResponse, TraceContext, WaitState } from '@claudemesh/protocol'
import type { ClientRuntime } from './runtime.ts'

export interface ClientOptions {
  /** The directory that `claudemesh init` made: CLAUDEMESH_HOME, by default ~/.claudemesh. */
  readonly home: string
  /** The slug of the mesh. */
  readonly mesh: string
  /** Milliseconds within which a call is repeated while that can help; default 5000, 0 for never. */
  readonly retryMsMax?: number
  /** Whether calls wait for a daemon that is not there, within `retryMsMax`; default false. */
  readonly awaitDaemon?: boolean
  readonly runtime?: ClientRuntime
}

export interface SendOptions {
  /** Milliseconds to wait for `until`, at most 30,000; default 0: answer when the message is kept. */
  readonly waitMs?: number
  /** Default `accepted`. */
  readonly until?: WaitState
  /** The trace that the send belongs to: it travels with the message, sealed. */
  readonly trace?: TraceContext | null
  readonly signal?: AbortSignal
}

/** The answer to one item of a batch: as `POST /v1/send` would have answered it. */
export interface BatchItemAnswer {
  readonly status: number
  readonly body: SendResponse | Problem
}
