/**
 * The text/event-stream parser of the HTML standard (server-sent events), fed in pieces of any size.
 *
 * 1. How the bytes were cut into pieces never changes the events.
 * 2. An `id` line moves `lastEventId` also in a block that carries no data: that is how a server names a position.
 */

/** One dispatched event. */
export interface StreamEvent {
  readonly type: string
  readonly data: string
  /** The position after this event; the empty text when the server has named none. */
  readonly id: string
}

export class EventStreamParser {
  #rest = ''
  #begun = false
  #data: string[] = []
  #type = ''
  #pendingId: string

  /** The position after the last complete block: what to send as Last-Event-ID. */
  lastEventId: string
  /** Milliseconds to wait before a reconnect, when the server named them. */
  retryMs: number | null = null

  constructor(lastEventId: string) {
    this.lastEventId = lastEventId
    this.#pendingId = lastEventId
  }

  /** Takes the next piece of decoded text and returns the events that it completes. */
  push(piece: string): StreamEvent[] {
    let text = this.#rest + piece
    if (!this.#begun && text.length > 0) {
      this.#begun = true
      if (text.startsWith('\ufeff')) text = text.slice(1)
    }
    const events: StreamEvent[] = []
    let start = 0
    for (;;) {
      const end = findLineEnd(text, start)
      if (end === null) break
      const event = this.#line(text.slice(start, end.at))
      if (event !== null) events.push(event)
      start = end.next
    }
    this.#rest = text.slice(start)
    return events
  }

  #line(line: string): StreamEvent | null {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) return null
    const field = colon === -1 ? line : line.slice(0, colon)
    const raw = colon === -1 ? '' : line.slice(colon + 1)
    this.#field(field, raw.startsWith(' ') ? raw.slice(1) : raw)
    return null
  }

  #field(field: string, value: string): void {
    if (field === 'data') this.#data.push(value)
    else if (field === 'event') this.#type = value
    else if (field === 'id' && !value.includes('\u0000')) this.#pendingId = value
    else if (field === 'retry' && /^[0-9]{1,9}$/.test(value)) this.retryMs = Number(value)
  }

  #dispatch(): StreamEvent | null {
    this.lastEventId = this.#pendingId
    const event = {
      type: this.#type === '' ? 'message' : this.#type,
      data: this.#data.join('\n'),
      id: this.lastEventId,
    }
    const hasData = this.#data.length > 0
    this.#data = []
    this.#type = ''
    return hasData ? event : null
  }
}

/**
 * A line ends with CRLF, LF or CR. A CR at the end of the text may be the first half of a CRLF, so it is left for the
 * next piece to decide; the blank line of a CR-only stream is then seen one character late, which no server sends.
 */
function findLineEnd(text: string, start: number): { at: number; next: number } | null {
  for (let at = start; at < text.length; at += 1) {
    const character = text.charCodeAt(at)
    if (character === 10) return { at, next: at + 1 }
    if (character !== 13) continue
    if (at + 1 === text.length) return null
    return { at, next: text.charCodeAt(at + 1) === 10 ? at + 2 : at + 1 }
  }
  return null
}
