/** Seeded randomness: a run that fails prints its seed, and CLAUDEMESH_TEST_SEED plays it again. */
export interface Seeded {
  readonly seed: number
  /** In [0, 1). */
  next(): number
  pick<T>(from: readonly [T, ...T[]]): T
}

export function seeded(): Seeded {
  const seed = Number(process.env.CLAUDEMESH_TEST_SEED ?? Date.now() % 1_000_000)
  const next = createRandom(seed)
  return { seed, next, pick: (from) => from[Math.floor(next() * from.length)] ?? from[0] }
}

/** So many of a list, chosen by a seed, in any order. */
export function sample<T>(from: readonly T[], count: number, seed: number): readonly T[] {
  const next = createRandom(seed)
  return from
    .map((value) => ({ value, order: next() }))
    .sort((left, right) => left.order - right.order)
    .slice(0, count)
    .map(({ value }) => value)
}

/** Numbers in [0, 1), the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
