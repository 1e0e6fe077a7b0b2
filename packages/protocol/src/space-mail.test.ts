import { expect, test } from 'vitest'
import type { JsonObject } from './canonical-json.ts'
import { isSpaceMail, readSpaceMail, type SpaceMail, spaceMailMeta } from './space-mail.ts'

const eventId = '01JD0000000000000000000000'
const dm = { kind: 'dm', ref: 'a'.repeat(64) } as const

const mails: readonly SpaceMail[] = [
  { kind: '$decision_events', about: { v: 1, space: 'plans', after: 0, after_id: null }, body: '{}\n' },
  { kind: '$decision_intent', about: { v: 1, space: 'plans', epoch: 3, intent_id: 'i', expect_head: 7 }, body: '[]' },
  { kind: '$decision_refusal', about: { v: 1, space: 'plans', intent_id: 'i' }, body: '{}' },
  { kind: '$decision_request', about: { v: 1, space: 'plans', after: 7, after_id: eventId }, body: '' },
]

test.each(mails)('$kind is read as it was written', (mail) => {
  const meta = JSON.parse(spaceMailMeta(mail)) as JsonObject
  expect(readSpaceMail(meta, mail.body)).toEqual(mail)
  expect(isSpaceMail(dm, meta)).toBe(true)
})

test('a member of meta that a newer version adds is passed over', () => {
  const meta = { $decision_request: { v: 1, space: 'plans', after: 0, after_id: null, more: true }, $more: 1 }
  expect(readSpaceMail(meta, '')).toMatchObject({ kind: '$decision_request' })
})

const wrong: readonly JsonObject[] = [
  {},
  { $decision_events: null },
  { $decision_events: { v: 2, space: 'plans', after: 0, after_id: null } },
  { $decision_events: { v: 1, space: '../plans', after: 0, after_id: null } },
  { $decision_events: { v: 1, space: 'plans', after: -1, after_id: null } },
  { $decision_intent: { v: 1, space: 'plans', epoch: 0, intent_id: 'i' } },
  { $decision_intent: { v: 1, space: 'plans', epoch: 1, intent_id: '' } },
  { $decision_refusal: { v: 1, space: 'plans' } },
]

test.each(wrong)('%j is of no form that is known', (meta) => {
  expect(readSpaceMail(meta, '')).toBeNull()
})

test('other messages are mail, and whatever goes to the topic of a space is not', () => {
  expect(isSpaceMail(dm, null)).toBe(false)
  expect(isSpaceMail(dm, { $files: {}, topic: '$decision_events' })).toBe(false)
  expect(isSpaceMail({ kind: 'topic', ref: 'space-talk' }, null)).toBe(false)
  expect(isSpaceMail({ kind: 'topic', ref: 'space.plans' }, null)).toBe(true)
})
