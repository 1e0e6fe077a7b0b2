/** The contract of logs of decisions (07 §2), over the one in memory. */
import { decisionLogCases, MemoryDecisionLog } from '@claudemesh/decisions'
import { createIdSource } from '@claudemesh/protocol'
import { describe, test } from 'vitest'

describe('the contract of logs of decisions (memory)', () => {
  for (const { name, run } of decisionLogCases) {
    test(name, async () => {
      const clock = { now: Date.now() }
      const log = new MemoryDecisionLog({ now: () => clock.now, nextId: createIdSource(() => clock.now) })
      await run({ log, clock, reopen: async () => log })
    })
  }
})
