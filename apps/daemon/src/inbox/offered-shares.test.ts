import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { draftOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { Inbox, type InboxDraft } from './inbox.ts'

const dayMs = 24 * 60 * 60 * 1000

function openInbox() {
  const path = join(scratchDirectory(), 'inbox.db')
  const runtime = new ManualRuntime()
  let { inbox } = Inbox.open({ path, runtime })
  onTestFinished(() => inbox.close())
  return {
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

function offering(n: number): InboxDraft {
  return { ...draftOf({ n }), content: { opened: true, body: 'a file', meta: { $files: { v: 1 } } } }
}

function waiting(inbox: Inbox): readonly string[] {
  return inbox.offers.waiting(100).map(({ brokerMessageId }) => brokerMessageId)
}

describe('messages that offer a share', () => {
  test('wait, in the order in which they came, until they are taken in, also over a restart', () => {
    const opened = openInbox()
    let noted = 0
    opened.inbox.offers.onNoted(() => {
      noted += 1
    })
    opened.inbox.store([draftOf({ n: 1 }), offering(3), offering(2), draftOf({ n: 4 })])
    opened.inbox.store([draftOf({ n: 5 })])
    expect(noted).toBe(1)
    expect(opened.inbox.offers.waiting(1)).toMatchObject([{ meta: { $files: { v: 1 } }, body: 'a file' }])
    opened.reopen()
    expect(waiting(opened.inbox)).toEqual([messageIdOf(3), messageIdOf(2)])
    opened.inbox.offers.taken(opened.inbox.get(messageIdOf(3))?.seq ?? 0)
    expect(waiting(opened.inbox)).toEqual([messageIdOf(2)])
  })

  test('that come again wait once; one that was sealed waits when it is opened', () => {
    const { inbox } = openInbox()
    inbox.store([offering(1)])
    inbox.store([offering(1)])
    inbox.store([draftOf({ n: 2, body: null })])
    expect(waiting(inbox)).toEqual([messageIdOf(1)])
    inbox.storeRetried({ opened: [{ draft: offering(2), origin: 'delivery' }], unopened: [] })
    expect(waiting(inbox)).toEqual([messageIdOf(1), messageIdOf(2)])
  })

  test('go with their retention', () => {
    const { inbox, runtime } = openInbox()
    inbox.store([offering(1)])
    runtime.advance(2 * dayMs)
    inbox.store([offering(2)])
    inbox.retain({ now: runtime.now(), days: 1, rowsMax: 10 })
    expect(waiting(inbox)).toEqual([messageIdOf(2)])
  })
})
