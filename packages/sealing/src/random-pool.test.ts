import { describe, expect, test } from 'vitest'
import { RandomPool } from './random-pool.ts'

describe('what is drawn from a pool', () => {
  const lengths = [0, 1, 24, 32, 4095, 4096, 4097, 10_000]
  for (const length of lengths) {
    test(`${length} bytes are ${length} bytes`, () => {
      const pool = new RandomPool()
      pool.take(100)
      expect(pool.take(length).length).toBe(length)
    })
  }

  test('no two draws are alike, across many refills', () => {
    const pool = new RandomPool()
    const drawn = Array.from({ length: 5_000 }, () => pool.take(24).toString('hex'))
    expect(new Set(drawn).size).toBe(drawn.length)
    expect(drawn).not.toContain('00'.repeat(24))
  })

  test('is memory of its own: writing to it changes no later draw, and later draws do not change it', () => {
    const pool = new RandomPool()
    const first = pool.take(32)
    const copy = Buffer.from(first)
    for (let draw = 0; draw < 1_000; draw += 1) pool.take(32).fill(0xff)
    expect(first).toEqual(copy)
    expect(first.buffer.byteLength).toBe(32)
  })
})
