/** What a host keeps for a time, when its clock leaps: nothing goes for a leap that is taken back, all for one that lasts. */
import { expect, onTestFinished, test } from 'vitest'
import { BrokerTerms } from '../../apps/daemon/src/lifecycle/broker-terms.ts'
import { chores, lastKnownTime } from '../../apps/daemon/src/lifecycle/chores.ts'
import { Closing } from '../../apps/daemon/src/lifecycle/closing.ts'
import { openStores } from '../../apps/daemon/src/lifecycle/open-stores.ts'
import { type Runtime, systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { RetentionClock } from '../../packages/storage/src/index.ts'
import { foundHome } from '../support/home.ts'
import { draftOf } from '../support/inbox-drafts.ts'

const hourMs = 3_600_000
const yearMs = 365 * 24 * hourMs

test('a message in the inbox outlives a leap of its clock, also across a restart, and not for ever', async () => {
  const system = systemRuntime()
  const offset = { wall: 0, monotonic: 0 }
  const runtime: Runtime = {
    ...system,
    now: () => system.now() + offset.wall,
    monotonicMs: () => system.monotonicMs() + offset.monotonic,
  }
  const { home, slug, paths } = foundHome()
  const open = () => {
    const closing = new Closing()
    onTestFinished(() => closing.run(null))
    const stores = openStores({ home, slug, paths, runtime, closing })
    const config = () => ({ inbox: { retentionDays: 30 } }) as never
    const clock = new RetentionClock({ ...runtime, path: paths.retentionClock, lastKnown: lastKnownTime(stores) })
    const list = chores({ stores, terms: new BrokerTerms(stores.members), config, clock })
    const round = () => {
      for (const chore of list) chore.step()
      return stores.inbox.counts().messages
    }
    return { stores, round, close: () => closing.run(null) }
  }

  const first = open()
  first.stores.inbox.store([draftOf({ n: 1 }), draftOf({ n: 2 })])
  offset.wall = 2 * yearMs
  expect(first.round()).toBe(2)
  first.stores.inbox.store([draftOf({ n: 3 })])
  await first.close()
  const second = open()
  expect(second.round()).toBe(3)
  offset.wall = 0
  expect(second.round()).toBe(3)
  offset.wall = 2 * yearMs
  expect(second.round()).toBe(3)
  offset.wall += hourMs
  offset.monotonic += hourMs
  // What came under the wrong clock is an hour old by it.
  expect(second.round()).toBe(1)
})
