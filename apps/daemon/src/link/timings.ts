import { limits } from '@claudemesh/protocol'
import {
  closeMsMax,
  conflictBackoffMsBase,
  conflictBackoffMsCap,
  conflictOverMs,
  handshakeStepMsMax,
  linkBackoffMsBase,
  linkBackoffMsCap,
  linkRequestMsMax,
  linkStableMs,
  linkStartMsMax,
} from '../limits.ts'

/** Every time of the link, in milliseconds. */
export interface LinkTimings {
  readonly backoffMsBase: number
  readonly backoffMsCap: number
  readonly conflictMsBase: number
  readonly conflictMsCap: number
  readonly conflictOverMs: number
  readonly stableMs: number
  readonly startMsMax: number
  readonly handshakeStepMsMax: number
  readonly closeMsMax: number
  readonly requestMsMax: number
  readonly pingIntervalMs: number
  readonly silenceMsMax: number
}

export const linkTimings: LinkTimings = {
  backoffMsBase: linkBackoffMsBase,
  backoffMsCap: linkBackoffMsCap,
  conflictMsBase: conflictBackoffMsBase,
  conflictMsCap: conflictBackoffMsCap,
  conflictOverMs,
  stableMs: linkStableMs,
  startMsMax: linkStartMsMax,
  handshakeStepMsMax,
  closeMsMax,
  requestMsMax: linkRequestMsMax,
  pingIntervalMs: limits.pingIntervalMs,
  silenceMsMax: limits.silenceMsMax,
}
