import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { Events, type NewEvent, type StoredEvent } from '../../apps/daemon/src/events/events.ts'
import { type Delivered, Delivery } from '../../apps/daemon/src/hooks/delivery.ts'
import { deliveryBatchMax, placeLagMax } from '../../apps/daemon/src/hooks/limits.ts'
import { Pool } from '../../apps/daemon/src/hooks/pool.ts'
import { triggerOf } from '../../apps/daemon/src/hooks/triggers.ts'
import { eventually } from '../support/eventually.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'
import { silentLog } from '../support/silent-log.ts'

const crashes = Number(process.env.CLAUDEMESH_TEST_HOOK_CRASHES ?? 40)

/** A run that has begun; the test says how it ends. */
interface Run {
  readonly n: number
  end(how?: Delivered): void
}

/** A process: its events, and one hook whose runs end when the test says so. */
function starting(path: string, o: { parallel?: number; isFull?: () => boolean } = {}) {
  const runtime = new ManualRuntime()
  const events = Events.open({ path, runtime })
  const trigger = triggerOf('on-message')
  if (trigger === null) throw new Error('on-message is a hook')
  const runs: Run[] = []
  const missed: number[] = []
  const deliver = ({ data }: StoredEvent, signal: AbortSignal) =>
    new Promise<Delivered>((resolve) => {
      const n = Number(data['n'])
      const record: NewEvent = { type: 'hook_executed', data: { n } }
      const stop = () => resolve({ kind: 'wait', reason: 'the daemon stops' })
      const end = (how: Delivered = { kind: 'done', record }) => {
        signal.removeEventListener('abort', stop)
        resolve(how)
      }
      runs.push({ n, end })
      signal.addEventListener('abort', stop)
    })
  const pool = new Pool(() => delivery.wake())
  const port = {
    after: (...args: Parameters<Events['after']>) => events.after(...args),
    append: (...args: Parameters<Events['append']>) => {
      if (o.isFull?.() === true && args[0].length > 0) throw new MeshError('insufficient_storage')
      return events.append(...args)
    },
    bounds: () => events.bounds(),
    cursor: (source: `hook:${string}`) => events.cursor(source),
  }
  const delivery: Delivery = new Delivery({
    ...{ hook: 'on-message', trigger, selfId: 'a', events: port, pool, deliver, log: silentLog() },
    parallel: () => o.parallel ?? 1,
    onMissed: (count) => missed.push(count),
  })
  events.subscribe(() => setImmediate(() => delivery.wake()))
  delivery.start()
  const begun = (count: number) => eventually(`${count} runs have begun`, () => runs.length >= count && runs)
  const kept = () => events.cursor('hook:on-message')?.position
  const stop = async () => {
    await delivery.stop()
    events.close()
  }
  return { events, delivery, runs, missed, begun, kept, stop, runtime }
}

const newPath = () => join(scratchDirectory(), 'events.db')
const message = (n: number): NewEvent => ({ type: 'message', data: { opened: true, n } })
const other: NewEvent = { type: 'receipt', data: {} }
const numbers = (runs: readonly Run[]) => runs.map(({ n }) => n)

describe('a hook', () => {
  test('begins with what happens from now on, and gets each event in order, one at a time', async () => {
    const path = newPath()
    const before = Events.open({ path, runtime: new ManualRuntime() })
    before.append([message(0)])
    before.close()
    const { events, begun, runs, stop } = starting(path)
    events.append([message(1), other, message(2), message(3)])
    for (let n = 1; n <= 3; n += 1) {
      const all = await begun(n)
      expect(numbers(all)).toEqual(Array.from({ length: n }, (_, index) => index + 1))
      runs[n - 1]?.end()
    }
    await stop()
  })

  test('gets more than one batch, and passes over what is not for it', async () => {
    const { events, begun, runs, kept, stop } = starting(newPath(), { parallel: 8 })
    const count = 2 * deliveryBatchMax + 1
    for (let n = 1; n <= count; n += 1) events.append([other, message(n)])
    while (runs.length < count) {
      for (const run of await begun(Math.min(runs.length + 1, count))) run.end()
    }
    for (const run of runs) run.end()
    expect(numbers(runs)).toEqual(Array.from({ length: count }, (_, index) => index + 1))
    await eventually('all are recorded', () => (kept() ?? 0) >= 2 * count)
    events.append(Array.from({ length: placeLagMax + 1 }, () => other))
    await eventually('the place follows', () => (kept() ?? 0) > 3 * count + placeLagMax)
    await stop()
  })

  test('that stops while it runs gets the same again, and those that ended behind it', async () => {
    const path = newPath()
    const first = starting(path, { parallel: 3 })
    first.events.append([message(1), message(2), message(3), message(4)])
    await first.begun(3)
    first.runs[1]?.end()
    first.runs[2]?.end()
    await first.begun(4)
    await first.stop()
    const second = starting(path, { parallel: 8 })
    expect(numbers(await second.begun(4))).toEqual([1, 2, 3, 4])
    for (const run of second.runs) run.end()
    await eventually('all are recorded', () => second.delivery.running === 0)
    await second.stop()
    const third = starting(path)
    third.events.append([message(5)])
    expect(numbers(await third.begun(1))).toEqual([5])
    await third.stop()
  })

  test('that cannot run waits with its event, and gets it when it is tried again', async () => {
    const { events, delivery, begun, runs, kept, stop } = starting(newPath())
    events.append([message(1), message(2)])
    await begun(1)
    runs[0]?.end({ kind: 'wait', reason: 'there is no file' })
    await eventually('it waits', () => delivery.waitsFor === 'there is no file')
    expect([delivery.running, kept()]).toEqual([0, 0])
    delivery.start()
    expect(numbers(await begun(2))).toEqual([1, 1])
    runs[1]?.end()
    await begun(3)
    expect([numbers(runs), delivery.waitsFor]).toEqual([[1, 1, 2], null])
    await stop()
  })

  test('whose run the disk does not record begins nothing else, and is recorded later', async () => {
    let isFull = true
    const hook = starting(newPath(), { isFull: () => isFull })
    hook.events.append([message(1), message(2)])
    await hook.begun(1)
    hook.runs[0]?.end()
    await eventually('it waits', () => hook.delivery.waitsFor !== null)
    expect(numbers(hook.runs)).toEqual([1])
    isFull = false
    hook.delivery.start()
    expect(numbers(await hook.begun(2))).toEqual([1, 2])
    expect(hook.delivery.waitsFor).toBeNull()
    await hook.stop()
  })

  test('is told how many events are gone that it has not come to', async () => {
    const path = newPath()
    const first = starting(path)
    await first.stop()
    const between = Events.open({ path, runtime: first.runtime })
    between.append(Array.from({ length: 10 }, (_, n) => message(n)))
    between.retain({ now: first.runtime.time, ageMsMax: 1_000, countMax: 2, rowsMax: 100 })
    between.close()
    const second = starting(path)
    expect(numbers(await second.begun(1))).toEqual([8])
    expect(second.missed).toEqual([8])
    await second.stop()
  })
})

test('whatever is killed when: every event is given, and none before the place again', async () => {
  const { seed, next } = seeded()
  let path = newPath()
  const given = new Map<number, number>()
  let sent = 0
  const send = () => {
    sent += 1
    return sent
  }

  for (let crash = 0; crash < crashes; crash += 1) {
    const hook = starting(path, { parallel: 1 + Math.floor(next() * 4) })
    for (let step = 0; step < 12; step += 1) {
      const choice = next()
      if (choice < 0.4) hook.events.append(choice < 0.1 ? [other] : [message(send())])
      else hook.runs[Math.floor(next() * hook.runs.length)]?.end()
      await new Promise(setImmediate)
    }
    for (const n of numbers(hook.runs)) given.set(n, (given.get(n) ?? 0) + 1)
    // What a kill leaves: the files as they are.
    const copy = newPath()
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copy + suffix)
    path = copy
    await hook.stop()
  }
  const last = starting(path, { parallel: 8 })
  await eventually('all is given', async () => {
    for (const run of last.runs) run.end()
    return last.delivery.running === 0 && last.delivery.behind === 0
  })
  for (const n of numbers(last.runs)) given.set(n, (given.get(n) ?? 0) + 1)
  await last.stop()
  const missing = Array.from({ length: sent }, (_, n) => n + 1).filter((n) => !given.has(n))
  const repeated = [...given.values()].filter((count) => count > 1).length
  expect(missing, `seed ${seed}`).toEqual([])
  console.log(`hooks over ${crashes} kills, seed ${seed}: ${sent} events, ${repeated} given again, none lost`)
})
