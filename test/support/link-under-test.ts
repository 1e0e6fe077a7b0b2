/** A link with handlers that only write down what they are told. */
import { featuresRequiredByDefault, type MeshError } from '@claudemesh/protocol'
import { onTestFinished } from 'vitest'
import { type FatalExit, Link, type LinkHandlers, type LinkOptions } from '../../apps/daemon/src/link/link.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { TestMembership } from './member-records.ts'
import { silentLog } from './silent-log.ts'

/** Quick to come back, patient with a slow machine. */
export const quickTimings = {
  backoffMsBase: 2,
  backoffMsCap: 20,
  conflictMsBase: 2,
  conflictMsCap: 50,
  closeMsMax: 500,
}

export interface LinkUnderTest {
  readonly link: Link
  /** What the handlers were told, in order: `opened`, `closed`, `deliver 2` ... */
  readonly told: string[]
  readonly exits: FatalExit[]
  readonly unreachable: { count: number }
  readonly agreements: Parameters<LinkHandlers['opened']>[]
  /** Thrown by the next handler of messages. */
  failure: MeshError | null
}

/** The link is started, and stopped when the test ends. */
export function startLink(url: string, differing: Partial<LinkOptions> = {}): LinkUnderTest {
  const now = Date.now()
  const membership = new TestMembership({ now })
  const { memberId, keys, chain } = membership.join('alice')
  const told: string[] = []
  const exits: FatalExit[] = []
  const agreements: Parameters<LinkHandlers['opened']>[] = []
  const unreachable = { count: 0 }
  const take = (what: string, items: readonly unknown[]) => {
    if (subject.failure !== null) throw subject.failure
    told.push(`${what} ${items.length}`)
  }
  const link = new Link({
    url,
    identity: () => ({ mesh: membership.mesh, memberId, chain, keys, hostFingerprint: null }),
    ephemeralTtlMs: null,
    requireFeatures: featuresRequiredByDefault,
    daemonVersion: '1.2.3',
    runtime: systemRuntime(),
    log: silentLog(),
    onUnreachable: () => {
      unreachable.count += 1
    },
    handlers: {
      opened: (...agreement) => {
        told.push('opened')
        agreements.push(agreement)
      },
      closed: () => told.push('closed'),
      sendResults: (items) => take('send_results', items),
      deliver: (items) => take('deliver', items),
      receipts: (items) => take('receipts', items),
      events: (items) => take('events', items),
      fatal: (exit) => {
        told.push('fatal')
        exits.push(exit)
      },
    },
    timings: quickTimings,
    ...differing,
  })
  const subject: LinkUnderTest = { link, told, exits, unreachable, agreements, failure: null }
  link.start()
  onTestFinished(() => link.stop())
  return subject
}
