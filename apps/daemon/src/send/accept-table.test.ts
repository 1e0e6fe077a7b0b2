import { readFileSync } from 'node:fs'
import { MeshError, type OutboxStatus } from '@claudemesh/protocol'
import { describe, expect, it } from 'vitest'
import {
  acceptedBy,
  claimAll,
  draftOf,
  type OpenOutbox,
  refusalOf,
  temporaryOutbox,
} from '../../../../test/support/outbox.ts'
import type { OutboxDraft } from '../outbox/outbox.ts'
import { outboxStatuses } from '../outbox/states.ts'
import { acceptTable, answerAccept } from './accept-table.ts'

/** The table of 02 §4, cell by cell: row, fingerprint, HTTP status, what the body must have, what it must not. */
const contract: readonly {
  row: OutboxStatus | null
  match: boolean
  http: number
  has: Readonly<Record<string, unknown>>
  lacks: readonly string[]
}[] = [
  { row: null, match: true, http: 202, has: { status: 'queued' }, lacks: ['duplicate', 'broker_message_id'] },
  { row: 'pending', match: true, http: 202, has: { status: 'queued' }, lacks: ['duplicate'] },
  { row: 'pending', match: false, http: 409, has: conflict('pending', 'mismatch'), lacks: [] },
  { row: 'inflight', match: true, http: 202, has: { status: 'inflight' }, lacks: ['duplicate'] },
  { row: 'inflight', match: false, http: 409, has: conflict('inflight', 'mismatch'), lacks: [] },
  {
    row: 'done',
    match: true,
    http: 200,
    has: { status: 'done', duplicate: true, broker_message_id: acceptedBy('').brokerMessageId, history_id: '1' },
    lacks: [],
  },
  {
    row: 'done',
    match: false,
    http: 409,
    has: { ...conflict('done', 'mismatch'), broker_message_id: acceptedBy('').brokerMessageId },
    lacks: ['history_id'],
  },
  {
    row: 'dead',
    match: true,
    http: 409,
    has: { ...conflict('dead', 'match'), reason: refusalOf('').lastError },
    lacks: [],
  },
  { row: 'dead', match: false, http: 409, has: conflict('dead', 'mismatch'), lacks: ['reason'] },
  { row: 'aborted', match: true, http: 409, has: conflict('aborted', 'match'), lacks: ['reason'] },
  { row: 'aborted', match: false, http: 409, has: conflict('aborted', 'mismatch'), lacks: [] },
]

function conflict(row: string, match: string) {
  return { code: 'idempotency_key_reused', conflict: `outbox_${row}_fingerprint_${match}` }
}

describe('the accept table', () => {
  it('has a line for every status with either fingerprint, and one for no row', () => {
    const cells = acceptTable.map((line) => `${line.row} ${line.fingerprint}`)
    const expected = outboxStatuses.flatMap((status) => [`${status} match`, `${status} mismatch`])
    expect([...cells].sort()).toEqual(['null null', ...expected].sort())
  })

  for (const line of contract) {
    const name = `${line.row ?? 'no row'}, ${line.match ? 'match' : 'mismatch'}: ${line.http}`
    it(name, async () => {
      const opened = await temporaryOutbox()
      if (line.row !== null) await makeRow(opened, line.row)
      const draft = retry(opened, line.match ? 'the same' : 'another')
      const before = opened.outbox.getByClientMessageId('key')
      const answer = await send(opened, draft)
      check(line, draft, answer)
      if (before !== null) expect(opened.outbox.getByClientMessageId('key')).toEqual(before)
    })

    it(`${name}, fifty times at once`, async () => {
      const opened = await temporaryOutbox()
      if (line.row !== null) await makeRow(opened, line.row)
      const drafts = Array.from({ length: 50 }, () => retry(opened, line.match ? 'the same' : 'another'))
      const answers = await Promise.all(drafts.map((draft) => send(opened, draft)))
      // Where there was no row, the first makes it and the others find it pending.
      for (const [index, answer] of answers.entries()) check(line, drafts[index] as OutboxDraft, answer)
      const rows = opened.outbox.list({ status: null, after: null, limit: 500 })
      expect(rows).toHaveLength(1)
      expect(new Set(answers.map((answer) => answer.body['outbox_id']))).toEqual(new Set([rows?.[0]?.id]))
    })
  }

  it('gives each of many different sends with one id its own line, in the order of their arrival', async () => {
    const opened = await temporaryOutbox()
    const drafts = Array.from({ length: 90 }, (_, n) => retry(opened, n % 3 === 0 ? 'the same' : `another ${n % 3}`))
    const answers = await Promise.all(drafts.map((draft) => send(opened, draft)))
    expect(answers.map((answer) => answer.http)).toEqual(drafts.map((_, n) => (n % 3 === 0 ? 202 : 409)))
    expect(opened.outbox.getByClientMessageId('key')?.id).toBe(drafts[0]?.id)
    expect(opened.outbox.counts().pending).toBe(1)
  })

  it('is the table in the source, eleven lines in the order of the contract', () => {
    const source = readFileSync(new URL('./accept-table.ts', import.meta.url), 'utf8')
    expect(source.match(/^ {2}\{ row: /gm)).toHaveLength(contract.length)
    expect(acceptTable.map((line) => line.row)).toEqual(contract.map((line) => line.row))
    expect(acceptTable.map((line) => line.http)).toEqual(contract.map((line) => line.http))
  })
})

function retry(opened: OpenOutbox, text: string): OutboxDraft {
  return draftOf(opened.runtime, { clientMessageId: 'key', text })
}

async function makeRow(opened: OpenOutbox, status: OutboxStatus): Promise<void> {
  const { row } = await opened.outbox.accept(retry(opened, 'the same'))
  if (status === 'aborted') opened.outbox.drop({ id: row.id, by: 'operator' })
  if (status === 'pending' || status === 'aborted') return
  claimAll(opened)
  if (status === 'done') opened.outbox.settle([acceptedBy(row.id)])
  if (status === 'dead') opened.outbox.settle([refusalOf(row.id)])
}

interface Answer {
  readonly http: number
  readonly body: Readonly<Record<string, unknown>>
}

async function send(opened: OpenOutbox, draft: OutboxDraft): Promise<Answer> {
  const outcome = await opened.outbox.accept(draft)
  try {
    const answer = answerAccept(outcome, draft.requestFingerprint, (id) => opened.outbox.receipts(id))
    return { http: answer.httpStatus, body: answer.body }
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    return { http: error.status, body: { code: error.code, ...error.data } }
  }
}

function check(line: (typeof contract)[number], draft: OutboxDraft, answer: Answer): void {
  expect(answer.http).toBe(line.http)
  expect(answer.body).toMatchObject({ client_message_id: 'key', outbox_id: expect.any(String), ...line.has })
  for (const member of line.lacks) expect(answer.body).not.toHaveProperty(member)
  if (line.http !== 409) return
  const prefix = draft.requestFingerprint.subarray(0, 8).toString('hex')
  expect(answer.body['daemon_fingerprint_prefix']).toBe(prefix)
}
