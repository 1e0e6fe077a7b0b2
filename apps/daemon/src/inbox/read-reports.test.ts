import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { draftOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { Inbox } from './inbox.ts'

const dayMs = 24 * 60 * 60 * 1000

function openInbox() {
  const path = join(scratchDirectory(), 'inbox.db')
  const runtime = new ManualRuntime()
  let { inbox } = Inbox.open({ path, runtime })
  onTestFinished(() => inbox.close())
  return {
    path,
    runtime,
    get inbox() {
      return inbox
    },
    reopen() {
      inbox.close()
      inbox = Inbox.open({ path, runtime }).inbox
    },
  }
}

function waiting(inbox: Inbox): readonly string[] {
  return inbox.reads.waiting(1_000).map((report) => report.brokerMessageId)
}

describe('reports of what was read', () => {
  test('are made by the mark, with its time, in the order of the marks', () => {
    const { inbox, runtime } = openInbox()
    inbox.store([1, 2, 3].map((n) => draftOf({ n })))
    inbox.mark([messageIdOf(3)], true)
    const first = runtime.now()
    runtime.advance(5)
    inbox.mark([messageIdOf(1), messageIdOf(9), messageIdOf(1)], true)
    expect(inbox.reads.waiting(10)).toMatchObject([
      { brokerMessageId: messageIdOf(3), at: first },
      { brokerMessageId: messageIdOf(1), at: first + 5 },
    ])
  })

  test('are made once: read, unread and read again is one, before the answer and after it', () => {
    const { inbox } = openInbox()
    inbox.store([draftOf({ n: 1 })])
    const readAgain = () => {
      inbox.mark([messageIdOf(1)], true)
      inbox.mark([messageIdOf(1)], false)
      inbox.mark([messageIdOf(1)], true)
    }
    readAgain()
    expect(waiting(inbox)).toEqual([messageIdOf(1)])
    inbox.reads.answered(inbox.reads.waiting(1)[0]?.seq ?? 0)
    readAgain()
    expect(waiting(inbox)).toEqual([])
  })

  test('are not taken back by marking it unread', () => {
    const { inbox } = openInbox()
    inbox.store([draftOf({ n: 1 })])
    inbox.mark([messageIdOf(1)], true)
    inbox.mark([messageIdOf(1)], false)
    expect(waiting(inbox)).toEqual([messageIdOf(1)])
  })

  test('wait across restarts until they are answered, and an answer settles no younger one', () => {
    const opened = openInbox()
    opened.inbox.store([1, 2, 3].map((n) => draftOf({ n })))
    opened.inbox.mark([messageIdOf(1), messageIdOf(2)], true)
    opened.reopen()
    const [, second] = opened.inbox.reads.waiting(10)
    opened.inbox.mark([messageIdOf(3)], true)
    opened.inbox.reads.answered(second?.seq ?? 0)
    opened.reopen()
    expect(waiting(opened.inbox)).toEqual([messageIdOf(3)])
  })

  test('are not made of a message that could not be opened; once it could, they are', () => {
    const { inbox } = openInbox()
    inbox.store([draftOf({ n: 1, body: null })])
    expect(inbox.mark([messageIdOf(1)], true)).toEqual({ marked: 1, unknown: [] })
    expect(waiting(inbox)).toEqual([])
    inbox.storeRetried({ opened: [{ draft: draftOf({ n: 1 }), origin: 'delivery' }], unopened: [] })
    inbox.mark([messageIdOf(1)], true)
    expect(waiting(inbox)).toEqual([messageIdOf(1)])
  })

  test('are told of after the commit, and only when there is a new one', () => {
    const { inbox } = openInbox()
    const seen: number[] = []
    inbox.reads.onNoted(() => seen.push(waiting(inbox).length))
    inbox.store([1, 2].map((n) => draftOf({ n })))
    inbox.mark([messageIdOf(1), messageIdOf(2)], true)
    inbox.mark([messageIdOf(1)], true)
    inbox.mark([messageIdOf(1)], false)
    inbox.mark([messageIdOf(1), messageIdOf(9)], true)
    expect(seen).toEqual([2])
  })

  test('go when their time is over, in bounded steps, answered or not', () => {
    const { inbox, runtime } = openInbox()
    inbox.store(Array.from({ length: 10 }, (_, n) => draftOf({ n: n + 1 })))
    for (let n = 1; n <= 10; n += 1) inbox.mark([messageIdOf(n)], true)
    inbox.reads.answered(inbox.reads.waiting(10)[4]?.seq ?? 0)
    const before = () => runtime.now() - 30 * dayMs
    expect(inbox.reads.retain({ before: before(), rowsMax: 100 })).toBe(0)
    runtime.advance(31 * dayMs)
    expect([6, 6, 6].map((rowsMax) => inbox.reads.retain({ before: before(), rowsMax }))).toEqual([6, 4, 0])
    expect(waiting(inbox)).toEqual([])
  })
})
