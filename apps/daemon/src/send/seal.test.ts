import crypto, { randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { generateBoxKeyPair } from '@claudemesh/identity'
import { type Destination, limits, wireFingerprint } from '@claudemesh/protocol'
import { open, PairwiseKeys } from '@claudemesh/sealing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { memberIdOf } from '../../../../test/support/inbox-drafts.ts'
import { draftOf, TestRuntime } from '../../../../test/support/outbox.ts'
import { countingLog } from '../../../../test/support/silent-log.ts'
import { OwnBoxKeys } from '../box-keys.ts'
import type { OutboxDraft, OutboxRow } from '../outbox/outbox.ts'
import { summaryOfDraft } from '../outbox/rows.ts'
import type { RecipientsLookUp } from './recipients.ts'
import { Sealer } from './seal.ts'
import { SkippedRecipients } from './skipped-recipients.ts'

const runtime = new TestRuntime()
const meshId = '01HZ000000000000000000MESH'
const boxes = { me: generateBoxKeyPair(), bob: generateBoxKeyPair(), carol: generateBoxKeyPair() }
const recipient = (name: keyof typeof boxes) => ({ memberId: memberIdOf(name), boxKey: boxes[name].publicKey })

function sealing(found: RecipientsLookUp) {
  const boxKeys = new OwnBoxKeys({ box: boxes.me, epoch: 3, archived: [] }, runtime.now)
  const asked: Destination[] = []
  const recipients = {
    lookUp: (destination: Destination) => {
      asked.push(destination)
      return found
    },
    findKnown: () => (found.kind === 'known' ? found : null),
  }
  const { log, lines } = countingLog()
  const skipped = new SkippedRecipients(log)
  const sealer = new Sealer({ meshId, selfId: memberIdOf('me'), boxKeys, recipients, skipped, randomBytes })
  return { sealer, asked, skipped, lines }
}

function rowOf(fields: Partial<OutboxDraft> & { readonly text?: string } = {}): OutboxRow {
  const draft = draftOf(runtime, { destinationRef: memberIdOf('bob'), ...fields })
  const contents = {
    payload: draft.payload,
    sealed: null,
    wireFingerprint: null,
    recipientsEpoch: null,
    restoredAt: null,
  }
  return { ...summaryOfDraft(draft, runtime.now()), ...contents }
}

function openedBy(name: keyof typeof boxes, row: OutboxRow, sealed: Uint8Array) {
  return open({
    sealed,
    expected: {
      meshId,
      sender: memberIdOf('me'),
      clientMessageId: row.clientMessageId,
      destination: { kind: row.destinationKind, ref: row.destinationRef },
      replyTo: row.replyToId,
      priority: row.priority,
    },
    senderBoxKey: () => boxes.me.publicKey,
    keys: [new PairwiseKeys({ box: boxes[name], max: 4 })],
  })
}

/** The one primitive that must not run for a known peer is counted where it is called: in node:crypto. */
function watchAgreements(): () => number {
  const spy = vi.spyOn(crypto, 'diffieHellman')
  syncBuiltinESMExports()
  onTestFinished(() => {
    spy.mockRestore()
    syncBuiltinESMExports()
  })
  return () => spy.mock.calls.length
}

const known = (names: readonly (keyof typeof boxes)[], epoch: number | null = null): RecipientsLookUp => {
  return { kind: 'known', members: names.map(recipient), epoch }
}

describe('sealing a row', () => {
  test('makes bytes that its recipients and its sender open, and nobody else', () => {
    const { sealer, asked } = sealing(known(['bob'], 5))
    const row = rowOf({ text: 'hello', replyToId: runtime.nextId(), priority: 'now' })
    const outcome = sealer.seal(row)
    if (!('sealed' in outcome)) throw new Error('it was not sealed')
    expect(asked).toEqual([{ kind: 'dm', ref: memberIdOf('bob') }])
    expect(outcome.recipientsEpoch).toBe(5)
    for (const name of ['bob', 'me'] as const) {
      const opening = openedBy(name, row, outcome.sealed)
      expect(opening).toMatchObject({ ok: true, header: { senderEpoch: 3, recipientsEpoch: 5 } })
      expect(opening.ok && opening.plaintext.equals(row.payload ?? Buffer.alloc(0))).toBe(true)
    }
    expect(openedBy('carol', row, outcome.sealed)).toEqual({ ok: false, reason: 'not_a_recipient' })
  })

  test('gives the fingerprint that a broker computes from those bytes', () => {
    const row = rowOf()
    const outcome = sealing(known(['bob'])).sealer.seal(row)
    if (!('sealed' in outcome)) throw new Error('it was not sealed')
    const { replyToId, priority } = row
    const destination: Destination = { kind: 'dm', ref: memberIdOf('bob') }
    expect(outcome.wireFingerprint).toEqual(
      wireFingerprint({ destination, replyToId, priority, sealed: outcome.sealed }),
    )
  })

  test('of a peer who is known costs no scalar multiplication', () => {
    const { sealer } = sealing(known(['bob', 'carol']))
    const countAgreements = watchAgreements()
    sealer.seal(rowOf())
    // One for each peer and one for the sender itself, so the counter does count.
    expect(countAgreements()).toBe(3)
    for (let times = 0; times < 100; times += 1) sealer.seal(rowOf({ text: 'x'.repeat(1024) }))
    expect(countAgreements()).toBe(3)
  })

  test('waits for recipients that have been asked for, and ends with the reason when there are none', () => {
    expect(sealing({ kind: 'asked', waitMs: 7 }).sealer.seal(rowOf())).toEqual({ postponedMs: 7 })
    const nobody = { kind: 'nobody', waitMs: 9, reason: 'queue_without_consumers: yet' } as const
    expect(sealing(nobody).sealer.seal(rowOf())).toEqual({ postponedMs: 9, reason: nobody.reason })
    const reason = 'recipient_unknown: nobody'
    expect(sealing({ kind: 'refused', reason }).sealer.seal(rowOf())).toEqual({ refused: reason })
  })

  test('for a member whose key nobody can seal to is refused', () => {
    const members = [{ memberId: memberIdOf('bob'), boxKey: '00'.repeat(32) }]
    const outcome = sealing({ kind: 'known', members, epoch: null }).sealer.seal(rowOf())
    expect(outcome).toEqual({ refused: expect.stringMatching(/^recipient_key_unusable: /) })
  })

  test('for nobody but the sender is sealed all the same: a topic may have no other subscriber', () => {
    const row = rowOf({ destinationKind: 'topic', destinationRef: 'builds' })
    const outcome = sealing(known([], 1)).sealer.seal(row)
    expect('sealed' in outcome && openedBy('me', row, outcome.sealed).ok).toBe(true)
  })

  test('leaves out a subscriber whose key nobody can seal to, counts each time and tells of it once', () => {
    const unusable = { memberId: memberIdOf('mallory'), boxKey: '00'.repeat(32) }
    const members = [recipient('bob'), unusable, recipient('carol')]
    const { sealer, skipped, lines } = sealing({ kind: 'known', members, epoch: 1 })
    for (let times = 1; times <= 3; times += 1) {
      const row = rowOf({ destinationKind: 'topic', destinationRef: 'builds' })
      const outcome = sealer.seal(row)
      for (const name of ['bob', 'carol'] as const) {
        expect('sealed' in outcome && openedBy(name, row, outcome.sealed).ok).toBe(true)
      }
      expect(skipped.totals).toEqual({ unverifiable: 0, key_unusable: times })
    }
    expect(skipped.members).toBe(1)
    expect(lines).toEqual(['recipient_skipped'])
    // With new keys it is sealed for again, and is no longer among those who are not.
    members.splice(1, 1, { ...unusable, boxKey: generateBoxKeyPair().publicKey })
    sealer.seal(rowOf({ destinationKind: 'topic', destinationRef: 'builds' }))
    expect(skipped).toMatchObject({ members: 0, totals: { key_unusable: 3 } })
  })

  const crowd = Array.from({ length: limits.recipientsMax + 1 }, (_, n) => ({
    memberId: memberIdOf(`m${n}`),
    boxKey: generateBoxKeyPair().publicKey,
  }))

  test('for as many as a message can have leaves out the sender, and for more is refused', () => {
    const row = rowOf({ destinationKind: 'topic', destinationRef: 'builds' })
    const sealFor = (count: number) =>
      sealing({ kind: 'known', members: crowd.slice(0, count), epoch: 1 }).sealer.seal(row)
    const full = sealFor(limits.recipientsMax)
    expect('sealed' in full && openedBy('me', row, full.sealed)).toEqual({ ok: false, reason: 'not_a_recipient' })
    expect(sealFor(limits.recipientsMax + 1)).toEqual({ refused: expect.stringMatching(/^too_many_recipients: /) })
  })
})
