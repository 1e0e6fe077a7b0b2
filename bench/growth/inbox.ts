/** The inbox with that many messages in it: storing, pages of every kind, threads, search, and its retention. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import type { Inbox, InboxDraft, InboxPageRequest } from '../../apps/daemon/src/inbox/inbox.ts'
import { type Row, readRow } from '../statements.ts'
import { loadStore } from './daemon-modules.ts'
import { type GrowingTables, type Growth, microsecondsPerCall } from './growth.ts'
import { fillByCopies } from './statements.ts'

export const inboxGrowth: Growth = {
  name: 'growth-inbox',
  unit: 'messages',
  operations: [
    { name: 'store', about: 'one of 64 that share a commit' },
    { name: 'store again', about: 'the same, of messages that are there' },
    { name: 'newest page', about: '50 rows' },
    { name: 'page in the middle', about: '50 rows behind one' },
    { name: 'page since', about: '50 rows of the newer half' },
    { name: 'page of a sender', about: '5 rows of one of 100 senders' },
    { name: 'page of a topic', about: '5 rows of one of 10 topics' },
    { name: 'unread page', about: '50 rows, one message in ten being unread' },
    { name: 'unread of a topic', about: '10 rows of a topic in which only the oldest are unread' },
    { name: 'unread of a sender', about: '10 rows of a sender of whom only the oldest are unread' },
    { name: 'sender in a topic', about: '10 rows of a sender whose oldest alone went to the topic' },
    { name: 'replies', about: 'to one message' },
    { name: 'search of a rare word', about: 'in ten messages' },
    { name: 'search of a common word', about: '50 rows of a word that all have' },
    { name: 'unread count', about: 'of all' },
    { name: 'mark', about: 'one of 64 that share a commit, read' },
    { name: 'retention step', about: '512 rows removed in a commit' },
    { name: 'retention tick', about: 'nothing is old enough' },
  ],
  prepare,
}

const [batchRows, stepRows, pageRows] = [64, 512, 50]
const dayMs = 86_400_000
/** Members who write little: see the operations about a sender. */
const [scarceSender, scarceTopic] = ['e'.repeat(64), 'scarce']

async function prepare(): Promise<GrowingTables> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-growth-'))
  const path = join(directory, 'inbox.db')
  const { Inbox: Store } = await loadStore('inbox')
  const now = () => Date.now()
  const runtime = { now, monotonicMs: () => performance.now(), random: () => 0.5, nextId: createIdSource(now) }
  const { inbox } = Store.open({ path, runtime })
  const first = draft(runtime.nextId())
  inbox.store([first])
  const rows = new InboxRows(path, readRow(path, 'inbox'))
  return {
    fill: (count) => rows.fill(count),
    measure: () => ({
      ...measureStoring(inbox, runtime.nextId),
      ...measurePages(inbox, rows),
      ...measureFilters(inbox),
      ...measureSearch(inbox),
      ...measureRetention(inbox, rows),
    }),
    close: () => {
      inbox.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function draft(id: string): InboxDraft {
  return {
    brokerMessageId: id,
    clientMessageId: id,
    sender: 'f'.repeat(64),
    historyId: '1',
    destination: { kind: 'dm', ref: 'd'.repeat(64) },
    replyToId: null,
    priority: 'next',
    acceptedAt: Date.now(),
    content: { opened: true, body: `common words of a message ${'m'.repeat(70)}`, meta: null },
  }
}

function measureStoring(inbox: Inbox, nextId: () => string) {
  const drafts = Array.from({ length: batchRows }, () => draft(nextId()))
  const ids = drafts.map(({ brokerMessageId }) => brokerMessageId)
  const stored = (expected: string) => {
    if (!inbox.store(drafts).every((outcome) => outcome === expected)) throw new Error(`not all were ${expected}`)
  }
  return {
    store: microsecondsPerCall(1, () => stored('stored')) / batchRows,
    'store again': microsecondsPerCall(1, () => stored('duplicate')) / batchRows,
    mark: microsecondsPerCall(1, () => void inbox.mark(ids, true)) / batchRows,
  }
}

const anyPage: InboxPageRequest = {
  ...{ order: 'newest', after: null, since: null, topic: null, sender: null, unread: false, limit: pageRows },
}

function measurePages(inbox: Inbox, rows: InboxRows) {
  const page = (calls: number, request: Partial<InboxPageRequest>) => timePage(inbox, calls, request)
  return {
    'newest page': page(20, {}),
    'page in the middle': page(20, { after: rows.middleId() }),
    'page since': page(5, { since: rows.middleTime(), order: 'oldest' }),
    'unread page': page(20, { unread: true }),
    'unread count': microsecondsPerCall(1_000, () => void inbox.counts()),
    replies: microsecondsPerCall(50, () => {
      if (inbox.repliesTo(rows.middleId(), pageRows).length === 0) throw new Error('no replies were found')
    }),
  }
}

function measureFilters(inbox: Inbox) {
  const few = (request: Partial<InboxPageRequest>) => timePage(inbox, 3, { limit: 10, ...request })
  return {
    'page of a sender': timePage(inbox, 20, { sender: senderOf(7), limit: 5 }),
    'page of a topic': timePage(inbox, 20, { topic: 'topic-3', limit: 5 }),
    'unread of a topic': few({ unread: true, topic: scarceTopic }),
    'unread of a sender': few({ unread: true, sender: scarceSender }),
    'sender in a topic': few({ sender: scarceSender, topic: 'first' }),
  }
}

function timePage(inbox: Inbox, calls: number, request: Partial<InboxPageRequest>): number {
  const { limit = pageRows } = request
  return microsecondsPerCall(calls, () => {
    const { rows } = inbox.page({ ...anyPage, ...request })
    if (rows.length !== limit) throw new Error(`a page of ${JSON.stringify(request)} has ${rows.length} rows`)
  })
}

function measureSearch(inbox: Inbox) {
  const search = (text: string, hits: number) =>
    microsecondsPerCall(10, () => {
      const { rows } = inbox.search({ text, after: null, limit: pageRows })
      if (rows.length !== hits) throw new Error(`${rows.length} messages have ${text}`)
    })
  return { 'search of a rare word': search('rare', 10), 'search of a common word': search('common', pageRows) }
}

function measureRetention(inbox: Inbox, rows: InboxRows) {
  const retain = () => inbox.retain({ now: Date.now(), days: 30, rowsMax: stepRows })
  const tick = microsecondsPerCall(20, () => void retain())
  rows.addExpired()
  const step = microsecondsPerCall(1, () => {
    if (retain() !== stepRows) throw new Error('a step of retention removed less')
  })
  return { 'retention tick': tick, 'retention step': step }
}

function senderOf(n: number): string {
  return n.toString(16).padStart(64, '0')
}

function idOf(n: number): string {
  return `m${String(n).padStart(25, '0')}`
}

/** The rows that are there before anything is measured. */
class InboxRows {
  readonly #path: string
  readonly #like: Row
  readonly #base = Date.now() - 2_000_000
  #rows = 0
  #expired = 0

  constructor(path: string, like: Row) {
    this.#path = path
    this.#like = { ...like, read_at: like['received_at'] ?? null }
  }

  fill(rows: number): void {
    const [first, count] = [this.#rows, rows - this.#rows]
    this.#copy({ first, count }, columnsOf(this.#base))
    this.#rows = rows
  }

  /** One step's worth of rows that are to go. */
  addExpired(): void {
    const id = `printf('x%025d', n)`
    const old = `${Date.now() - 40 * dayMs} + n`
    const columns = { seq: 'NULL', broker_message_id: id, client_message_id: id, received_at: old }
    this.#copy({ first: this.#expired, count: stepRows }, columns)
    this.#expired += stepRows
  }

  middleId(): string {
    return idOf(Math.floor(this.#rows / 2))
  }

  middleTime(): number {
    return this.#base + Math.floor(this.#rows / 2)
  }

  /** With the words of each, under its seq. */
  #copy(o: { readonly first: number; readonly count: number }, differing: Readonly<Record<string, string>>): void {
    fillByCopies(this.#path, [{ table: 'inbox', like: this.#like, differing, ...o }])
    const word = `CASE WHEN n < 10 THEN ' rare' ELSE '' END`
    const seq = `(SELECT seq FROM inbox WHERE broker_message_id = ${differing['broker_message_id']})`
    const text = { rowid: seq, body: `@body || ${word}` }
    fillByCopies(this.#path, [
      { table: 'inbox_text', like: { body: this.#like['body'] ?? null }, differing: text, ...o },
    ])
  }
}

/**
 * Of a hundred rows, ten each go to the ten topics, and one each comes from a hundred senders; but every second row is of
 * the scarce sender, and every second one of the others to the scarce topic.
 */
function columnsOf(base: number): Readonly<Record<string, string>> {
  const id = `printf('m%025d', n)`
  const isScarceTopic = `n % 4 = 1`
  const isScarceSender = `n % 4 = 3`
  const isFirst = 'n < 80'
  return {
    seq: 'NULL',
    broker_message_id: id,
    client_message_id: id,
    sender: `CASE WHEN ${isScarceSender} THEN '${scarceSender}' ELSE printf('%064x', n / 4 % 100) END`,
    destination_kind: `CASE WHEN n % 2 = 0 AND n % 3 = 0 AND NOT (${isScarceSender}) THEN 'dm' ELSE 'topic' END`,
    destination_ref: `CASE WHEN ${isScarceTopic} THEN '${scarceTopic}'
      WHEN ${isScarceSender} THEN CASE WHEN ${isFirst} THEN 'first' ELSE 'later' END
      ELSE 'topic-' || (n / 4 % 10) END`,
    reply_to_id: `CASE WHEN n % 5 = 0 THEN printf('m%025d', n / 5 * 4) END`,
    received_at: `${base} + n`,
    read_at: `CASE WHEN ${isFirst} OR (n % 10 = 4) THEN NULL ELSE @received_at END`,
  }
}
