import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryDirectory } from '../../../test/support/scratch-directory.ts'
import { RetentionClock } from './retention-clock.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const yearMs = 365 * dayMs
const start = Date.UTC(2026, 0, 1)

/** Clocks that a test moves, and the clock that listens to them. */
function clocks(o: { readonly lastKnown?: number | null; readonly path?: string; readonly time?: number } = {}) {
  let time = o.time ?? start
  let elapsed = 5_000
  const path = o.path ?? join(memoryDirectory(), 'clock')
  const clock = new RetentionClock({
    now: () => time,
    monotonicMs: () => elapsed,
    path,
    lastKnown: o.lastKnown ?? null,
  })
  return {
    said: () => clock.now() - start,
    /** Time goes on, as it is asked once a minute. */
    pass(ms: number) {
      for (let passed = 0; passed < ms; passed += minuteMs) {
        time += minuteMs
        elapsed += minuteMs
        clock.now()
      }
    },
    /** The wall clock alone. */
    leap(ms: number) {
      time += ms
    },
  }
}

describe('the clock of retention', () => {
  test('goes with the wall clock while that goes on', () => {
    const { said, pass } = clocks()
    expect(said()).toBe(0)
    pass(40 * dayMs)
    expect(said()).toBe(40 * dayMs)
  })

  test('does not believe a leap that is taken back', () => {
    const { said, pass, leap } = clocks()
    leap(2 * yearMs)
    expect(said()).toBe(0)
    pass(59 * minuteMs)
    expect(said()).toBe(59 * minuteMs)
    leap(-2 * yearMs)
    expect(said()).toBe(59 * minuteMs)
    pass(10 * dayMs)
    expect(said()).toBe(10 * dayMs + 59 * minuteMs)
  })

  test('believes a leap that has lasted for an hour', () => {
    const { said, pass, leap } = clocks()
    leap(2 * yearMs)
    said()
    pass(hourMs)
    expect(said()).toBe(2 * yearMs + hourMs)
  })

  test('waits anew for a leap after a leap, forwards or back', () => {
    for (const second of [yearMs, -yearMs]) {
      const { said, pass, leap } = clocks()
      leap(2 * yearMs)
      said()
      pass(40 * minuteMs)
      leap(second)
      pass(40 * minuteMs)
      expect(said()).toBe(80 * minuteMs)
      pass(hourMs)
      expect(said()).toBe(2 * yearMs + second + 140 * minuteMs)
    }
  })

  test('believes a night of sleep, and goes back at once', () => {
    const { said, leap } = clocks()
    leap(10 * hourMs)
    expect(said()).toBe(10 * hourMs)
    leap(-3 * yearMs)
    expect(said()).toBe(10 * hourMs - 3 * yearMs)
  })

  test('takes for a leap what came since something is known to have happened', () => {
    const away = clocks({ lastKnown: start - 2 * yearMs })
    expect(away.said()).toBe(-2 * yearMs)
    away.pass(hourMs)
    expect(away.said()).toBe(hourMs)
    expect(clocks({ lastKnown: start - 20 * hourMs }).said()).toBe(0)
    expect(clocks({ lastKnown: start + yearMs }).said()).toBe(0)
  })

  test('goes on after a restart from what was believed, not from what was stored under a wrong clock', () => {
    const path = join(memoryDirectory(), 'clock')
    const before = clocks({ path })
    before.pass(30 * minuteMs)
    before.leap(2 * yearMs)
    before.pass(50 * minuteMs)
    const time = start + 2 * yearMs + 80 * minuteMs
    const restarted = clocks({ path, time, lastKnown: time })
    expect(restarted.said()).toBeLessThanOrEqual(80 * minuteMs)
    restarted.pass(hourMs)
    expect(restarted.said()).toBe(2 * yearMs + 140 * minuteMs)
    // A restart in turn does not make what has been believed a leap again.
    expect(clocks({ path, time: time + hourMs }).said()).toBe(2 * yearMs + 140 * minuteMs)
  })

  test('goes by the rows where what was believed is missing or damaged', () => {
    const path = join(memoryDirectory(), 'clock')
    for (const damage of ['', 'soon\n', '12', '-3\n']) {
      writeFileSync(path, damage)
      expect(clocks({ path, lastKnown: start - 2 * yearMs }).said()).toBe(-2 * yearMs)
      expect(readFileSync(path, 'utf8')).toBe(`${start - 2 * yearMs}\n`)
    }
  })

  test('goes on where it cannot be written down', () => {
    const { said, pass } = clocks({ path: '/dev/full/clock' })
    expect(said()).toBe(0)
    pass(3 * hourMs)
    expect(said()).toBe(3 * hourMs)
  })

  test('is never ahead of the wall clock, and a day behind it for an hour at most while that goes on', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ pass: fc.integer({ min: 1, max: 90 }) }),
        fc.record({ leap: fc.integer({ min: -3 * yearMs, max: 3 * yearMs }) }),
      ),
      { maxLength: 20 },
    )
    fc.assert(
      fc.property(steps, (list) => {
        const { said, pass, leap } = clocks()
        let wall = 0
        for (const step of list) {
          if ('leap' in step) leap(step.leap)
          else pass(step.pass * minuteMs)
          wall += 'leap' in step ? step.leap : step.pass * minuteMs
          expect(said()).toBeLessThanOrEqual(wall)
        }
        pass(hourMs + minuteMs)
        expect(said()).toBe(wall + hourMs + minuteMs)
      }),
    )
  })
})
