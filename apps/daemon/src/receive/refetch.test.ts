import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type HistoryItem, MeshError, type RequestParams } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { SealingMembers } from '../../../../test/support/sealing-members.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { Inbox } from '../inbox/inbox.ts'
import { type RefetchOptions, refetch } from './refetch.ts'

const dayMs = 24 * 60 * 60 * 1000

const sealing = new SealingMembers()

function historyItem(n: number): HistoryItem {
  const { delivery_id: _, ...item } = sealing.delivery(n)
  return item
}

function rebuiltInbox() {
  const runtime = new ManualRuntime()
  const path = join(scratchDirectory(), 'inbox.db')
  Inbox.open({ path, runtime }).inbox.close()
  writeFileSync(path, 'damaged'.repeat(1000))
  const open = () => Inbox.open({ path, runtime }).inbox
  return { runtime, open, inbox: open() }
}

/** A broker whose history has messages 1 to `count`, in pages of 10; `failAt` is the call that it does not answer. */
function historyOf(count: number, failAt = Number.POSITIVE_INFINITY) {
  const asked: RequestParams<'history.page'>[] = []
  const request = async (_: string, params: object) => {
    asked.push(params as RequestParams<'history.page'>)
    if (asked.length === failAt) throw new MeshError('broker_unavailable')
    const after = Number((params as { after?: string }).after ?? 0)
    const last = Math.min(count, after + 10)
    const messages = Array.from({ length: last - after }, (_unused, index) => historyItem(after + index + 1))
    return { messages, next: last === count ? null : String(last) }
  }
  return { asked, request: request as unknown as RefetchOptions['request'] }
}

const rest = { open: sealing.openerOf('me'), retentionDays: () => 30, log: silentLog() }

describe('the refetch', () => {
  test('does nothing for an inbox that was never replaced', async () => {
    const { inbox } = Inbox.open({ path: join(scratchDirectory(), 'inbox.db'), runtime: new ManualRuntime() })
    const { asked, request } = historyOf(5)
    expect(await refetch({ inbox, request, ...rest })).toBe(0)
    expect(asked).toEqual([])
    inbox.close()
  })

  test('brings back the retention window, page by page, to the end', async () => {
    const { inbox, runtime } = rebuiltInbox()
    const { asked, request } = historyOf(25)
    expect(await refetch({ inbox, request, ...rest })).toBe(25)
    expect(asked.map((params) => params.after)).toEqual([undefined, '10', '20'])
    expect(asked[0]?.since).toBe(runtime.time - 30 * dayMs)
    expect(inbox.counts().messages).toBe(25)
    expect(await refetch({ inbox, request, ...rest })).toBe(0)
    inbox.close()
  })

  test('goes on after a lost connection and a start where it was, over the same window', async () => {
    const { inbox, runtime, open } = rebuiltInbox()
    const first = historyOf(25, 3)
    await expect(refetch({ inbox, request: first.request, ...rest })).rejects.toThrow(
      expect.objectContaining({ code: 'broker_unavailable' }),
    )
    inbox.close()
    runtime.advance(dayMs)
    const again = open()
    const second = historyOf(25)
    expect(await refetch({ inbox: again, request: second.request, ...rest })).toBe(5)
    expect(second.asked).toEqual([{ after: '20', limit: 256, since: first.asked[0]?.since }])
    expect(again.counts().messages).toBe(25)
    again.close()
  })

  test('does not follow pages that lead back', async () => {
    const { inbox } = rebuiltInbox()
    const request = (async () => ({ messages: [], next: '5' })) as unknown as RefetchOptions['request']
    await expect(refetch({ inbox, request, ...rest })).rejects.toThrow(
      expect.objectContaining({ code: 'invalid_frame' }),
    )
    inbox.close()
  })
})
