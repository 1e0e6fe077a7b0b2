import http from 'node:http'
import type { TestMember } from './mesh.ts'

/** Events of one type that a member's daemon has told since its beginning, read on and on from where they were left. */
export class EventLog {
  readonly seen: Readonly<Record<string, unknown>>[] = []
  readonly #member: TestMember
  readonly #type: string
  #lastId = '0'

  constructor(member: TestMember, type: string) {
    this.#member = member
    this.#type = type
  }

  /** Reads the stream as long as something is done. */
  async follow(work: () => Promise<void>): Promise<void> {
    const headers = { accept: 'text/event-stream', 'last-event-id': this.#lastId }
    const path = `/v1/events?types=${this.#type}`
    const request = http.request({ socketPath: this.#member.socket, path, headers }, (answer) => {
      let rest = ''
      answer.setEncoding('utf8')
      // The stream is ended from this side; what was read until then is what counts.
      answer.on('error', () => undefined)
      answer.on('data', (chunk: string) => {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) this.#take(block)
      })
    })
    request.on('error', () => undefined)
    request.end()
    try {
      await work()
    } finally {
      request.destroy()
    }
  }

  #take(block: string): void {
    const data = /^data: ?(.*)$/m.exec(block)?.[1]
    if (data === undefined) return
    this.#lastId = /^id: ?(.*)$/m.exec(block)?.[1] ?? this.#lastId
    this.seen.push(JSON.parse(data) as Record<string, unknown>)
  }
}
