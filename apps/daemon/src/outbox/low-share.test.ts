import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { claimAll, draftOf, temporaryOutbox } from '../../../../test/support/outbox.ts'
import { lowPassedOverMsMax, lowShareOneIn } from '../limits.ts'
import { LowShare } from './low-share.ts'

describe('the share of low rows that wait too long', () => {
  it('is one row in four of all that is claimed, whatever the sizes of the claims', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 60 }), (claims) => {
        const share = new LowShare()
        const passOver = { othersClaimed: true, lowLeft: true }
        share.record({ claimed: 0, byQuota: 0, monotonicMs: 0, ...passOver })
        const monotonicMs = lowPassedOverMsMax
        let low = 0
        let all = 0
        for (const rowsMax of claims) {
          const quota = share.quota({ rowsMax, monotonicMs })
          expect(quota).toBeLessThanOrEqual(Math.max(1, rowsMax / lowShareOneIn))
          share.record({ claimed: rowsMax, byQuota: quota, monotonicMs, ...passOver })
          low += quota
          all += rowsMax
          expect(low).toBeLessThanOrEqual(1 + all / lowShareOneIn)
        }
      }),
    )
  })

  const clocks: readonly { name: string; jumpMs: number }[] = [
    { name: 'while the clock runs as it should', jumpMs: 0 },
    { name: 'while the clock is set back by a day', jumpMs: -86_400_000 },
    { name: 'while the clock is set forward by a day', jumpMs: 86_400_000 },
  ]
  for (const { name, jumpMs } of clocks) {
    it(`reaches every waiting low row while more urgent ones never end, ${name}`, async () => {
      const opened = await temporaryOutbox()
      const { outbox, runtime } = opened
      const low = Array.from({ length: 3 }, () => draftOf(runtime, { priority: 'low' }))
      await Promise.all(low.map((draft) => outbox.accept(draft)))
      const claimedLow: string[] = []
      const claimOneOfMany = async () => {
        await Promise.all([1, 2].map(() => outbox.accept(draftOf(runtime, { priority: 'now' }))))
        const [row] = claimAll(opened, { rowsMax: 1 })
        if (row?.priority === 'low') claimedLow.push(row.id)
      }
      for (let n = 0; n < 12; n += 1) await claimOneOfMany()
      expect(claimedLow).toEqual([])
      runtime.wallMs += jumpMs
      runtime.advance(lowPassedOverMsMax)
      for (let n = 0; n < 12; n += 1) await claimOneOfMany()
      expect(claimedLow).toEqual(low.map((draft) => draft.id))
    })
  }

  it('is not theirs while nobody passes them over: a row more urgent is first', async () => {
    const opened = await temporaryOutbox()
    const { outbox, runtime } = opened
    await Promise.all([1, 2, 3].map(() => outbox.accept(draftOf(runtime, { priority: 'low' }))))
    expect(claimAll(opened, { rowsMax: 1 })).toMatchObject([{ priority: 'low' }])
    runtime.advance(lowPassedOverMsMax)
    await outbox.accept(draftOf(runtime, { priority: 'now' }))
    expect(claimAll(opened, { rowsMax: 1 })).toMatchObject([{ priority: 'now' }])
  })
})
