/**
 * Notes that wait to be sent. What says the same is sent once, and what is alike travels together, in payloads of a
 * bounded size. Beyond a bound further notes are dropped: they are hints, and whoever misses one looks by itself.
 */
import { noteBytesMax, notesMax } from '../limits.ts'
import type { Note, NotedMember } from './note.ts'

export class OutgoingNotes {
  readonly #members = new Map<string, NotedMember>()
  readonly #queues = new Map<string, Extract<Note, { kind: 'queue' }>>()
  /** Every other one, by what it says. */
  readonly #others = new Map<string, Note>()

  get isEmpty(): boolean {
    return this.#members.size + this.#queues.size + this.#others.size === 0
  }

  add(note: Note): void {
    if (this.#members.size + this.#queues.size + this.#others.size >= notesMax) return
    if (note.kind === 'wake') {
      for (const { meshId, memberId } of note.members) this.#members.set(`${meshId}/${memberId}`, { meshId, memberId })
    } else if (note.kind === 'queue') {
      const name = `${note.meshId}/${note.queue}`
      this.#queues.set(name, { ...note, messages: note.messages + (this.#queues.get(name)?.messages ?? 0) })
    } else {
      const text = JSON.stringify(note)
      // Said again it is the last word: what was said in between may have been its opposite.
      this.#others.delete(text)
      this.#others.set(text, note)
    }
  }

  /** Takes all that waits, as payloads. */
  take(): readonly string[] {
    const notes: Note[] = [...this.#others.values(), ...this.#queues.values()]
    const members = [...this.#members.values()]
    for (let start = 0; start < members.length; start += membersPerNote) {
      notes.push({ kind: 'wake', members: members.slice(start, start + membersPerNote) })
    }
    this.#others.clear()
    this.#queues.clear()
    this.#members.clear()
    return pack(notes)
  }
}

/** Members of one wake-up: their keys are about half of a payload. */
const membersPerNote = 32

/** Cuts notes into JSON lists of a bounded size. One that is larger by itself is left out. */
function pack(notes: readonly Note[]): readonly string[] {
  const payloads: string[] = []
  let payload = ''
  for (const note of notes) {
    const text = JSON.stringify(note)
    if (payload !== '' && Buffer.byteLength(payload) + Buffer.byteLength(text) + 2 > noteBytesMax) {
      payloads.push(`${payload}]`)
      payload = ''
    }
    if (Buffer.byteLength(text) + 2 > noteBytesMax) continue
    payload += payload === '' ? `[${text}` : `,${text}`
  }
  if (payload !== '') payloads.push(`${payload}]`)
  return payloads
}
