import type { Registry } from '@claudemesh/artifacts'
import { quantile } from '../benchmark.ts'

const commits = 100

/** The 99th percentile of the milliseconds from the answer of a commit until a follower has its event; at least almost nothing. */
export async function followP99(
  follower: Registry,
  { writer, packageId }: { readonly writer: Registry; readonly packageId: string },
): Promise<number> {
  const { lastSequence } = await writer.head()
  const seen = new Map<number, number>()
  const abort = new AbortController()
  const following = (async () => {
    for await (const { sequence } of follower.tailEvents(lastSequence, { signal: abort.signal })) {
      seen.set(sequence, performance.now())
      if (seen.size === commits) break
    }
  })()
  const committed: number[] = []
  const because = { actor: 'local', reason: 'bench' }
  for (let index = 0; index < commits / 2; index += 1) {
    const holdId = await writer.applyHold(packageId, because)
    committed.push(performance.now())
    await writer.releaseHold(holdId, because)
    committed.push(performance.now())
  }
  await following
  abort.abort()
  const delays = committed.map((at, index) => Math.max(0.001, (seen.get(lastSequence + 1 + index) ?? 0) - at))
  return quantile(
    delays.sort((a, b) => a - b),
    0.99,
  )
}
