/** What the verbs are composed from: what is open already, and who hears of what. */
import type { DiskPressure } from '@claudemesh/storage'
import type { DaemonConfig } from '../config/config.ts'
import type { Departure } from '../lifecycle/exit.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { DaemonLog } from '../log.ts'
import type { Recorder } from '../record/recorder.ts'
import type { Runtime } from '../runtime.ts'
import type { AcceptSendOptions } from '../send/accept-send.ts'
import type { Spaces } from '../spaces/spaces.ts'
import type { Artifacts } from './artifacts.ts'

export interface VerbParts {
  readonly home: string
  readonly selfCommand: readonly string[]
  readonly version: string
  readonly config: () => DaemonConfig
  readonly stores: Stores
  readonly artifacts: Pick<Artifacts, 'store' | 'room'>
  readonly spaces: Spaces
  /** Null when there is no history. */
  readonly recorder: Pick<Recorder, 'wake'> | null
  readonly preSend: AcceptSendOptions['preSend']
  readonly hostFingerprint: string
  readonly runtime: Runtime
  readonly log: DaemonLog
  readonly diskPressure: () => DiskPressure
  readonly leave: (departure: Departure) => void
}
