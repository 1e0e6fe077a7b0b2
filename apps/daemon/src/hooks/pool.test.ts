import { describe, expect, test } from 'vitest'
import { hooksAtOnceMax, preSendSlots, preSendsWaitingMax } from './limits.ts'
import { Pool } from './pool.ts'

/** Takes slots for events until there is none. */
function fill(pool: Pool): number {
  let taken = 0
  while (pool.tryEnter()) taken += 1
  return taken
}

describe('the pool', () => {
  test('has eight slots, and tells when one is free', () => {
    let told = 0
    const pool = new Pool(() => {
      told += 1
    })
    expect([fill(pool), pool.running]).toEqual([hooksAtOnceMax, hooksAtOnceMax])
    pool.leave()
    expect([told, pool.tryEnter(), pool.tryEnter()]).toEqual([1, true, false])
  })

  test('keeps some free for sends where there is pre-send', async () => {
    const pool = new Pool(() => undefined)
    pool.reserve(true)
    expect(fill(pool)).toBe(hooksAtOnceMax - preSendSlots)
    for (let n = 0; n < preSendSlots; n += 1) await pool.enter()
    expect(pool.running).toBe(hooksAtOnceMax)
  })

  test('hands slots to waiting sends in their order, before any event', async () => {
    const pool = new Pool(() => undefined)
    fill(pool)
    const order: number[] = []
    const waiting = [1, 2].map((n) => pool.enter().then(() => order.push(n)))
    for (const _ of waiting) pool.leave()
    await Promise.all(waiting)
    expect([order, pool.tryEnter(), pool.running]).toEqual([[1, 2], false, hooksAtOnceMax])
  })

  test('refuses sends when too many wait', async () => {
    const pool = new Pool(() => undefined)
    fill(pool)
    const waiting = Array.from({ length: preSendsWaitingMax }, () => pool.enter())
    await expect(pool.enter()).rejects.toMatchObject({ code: 'daemon_busy' })
    for (const _ of waiting) pool.leave()
    await Promise.all(waiting)
  })
})
