import { expect, test } from 'vitest'
import { noteBytesMax, notesMax } from '../limits.ts'
import { type Note, readNotes } from './note.ts'
import { OutgoingNotes } from './outgoing-notes.ts'

function sendAll(notes: readonly Note[]): readonly string[] {
  const outgoing = new OutgoingNotes()
  for (const note of notes) outgoing.add(note)
  const payloads = outgoing.take()
  expect(outgoing.isEmpty).toBe(true)
  return payloads
}

const wake = (memberId: string): Note => ({ kind: 'wake', members: [{ meshId: 'mesh', memberId }] })
const queue = (messages: number): Note => ({ kind: 'queue', meshId: 'mesh', queue: 'jobs', messages })
const presence = (online: boolean): Note => ({
  kind: 'event',
  meshId: 'mesh',
  event: { kind: 'presence', member_id: 'ab'.repeat(32), online, at: 1 },
})

test('a member that is woken many times is woken once, and messages of one queue are added up', () => {
  const payloads = sendAll([wake('a'), wake('b'), queue(1), wake('a'), queue(2)])
  expect(payloads.flatMap(readNotes)).toEqual([
    queue(3),
    {
      kind: 'wake',
      members: [
        { meshId: 'mesh', memberId: 'a' },
        { meshId: 'mesh', memberId: 'b' },
      ],
    },
  ])
})

test('what is said again after its opposite stays the last word', () => {
  expect(sendAll([presence(true), presence(false), presence(true)]).flatMap(readNotes)).toEqual([
    presence(false),
    presence(true),
  ])
})

test('a thousand members travel in payloads that PostgreSQL takes, none of them lost', () => {
  const memberIds = Array.from({ length: 1_000 }, (_, n) => String(n).padStart(43, 'ä'))
  const payloads = sendAll(memberIds.map(wake))
  expect(Math.max(...payloads.map((payload) => Buffer.byteLength(payload)))).toBeLessThanOrEqual(noteBytesMax)
  const woken = payloads.flatMap(readNotes).flatMap((note) => (note.kind === 'wake' ? note.members : []))
  expect(woken.map(({ memberId }) => memberId)).toEqual(memberIds)
})

test('beyond its bound a note is dropped, and nothing else is', () => {
  const outgoing = new OutgoingNotes()
  for (let n = 0; n < notesMax + 10; n += 1) outgoing.add(wake(String(n)))
  const woken = outgoing.take().flatMap(readNotes)
  expect(woken.flatMap((note) => (note.kind === 'wake' ? note.members : []))).toHaveLength(notesMax)
})

test.each([
  ['no JSON', '{'],
  ['no list', '{"kind":"queues","meshId":"m"}'],
  ['an unknown kind', '[{"kind":"toString"},{"kind":"later","meshId":"m"}]'],
  ['a missing field', '[{"kind":"queue","meshId":"m","queue":"q"},{"kind":"wake","members":[{"meshId":"m"}]}]'],
  ['a close that there is not', '[{"kind":"close","connectionId":"c","ending":"valueOf"}]'],
  ['an event that no daemon would take', '[{"kind":"event","meshId":"m","event":{"kind":"presence"}}]'],
  ['null', '[null,1,"x"]'],
])('%s is no note', (_, payload) => {
  expect(readNotes(payload)).toEqual([])
})
