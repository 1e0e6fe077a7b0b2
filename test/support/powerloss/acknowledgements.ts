/** What a daemon has said about the messages it took, and when. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { HttpAnswer } from '../http-over-socket.ts'
import type { TestMember } from '../mesh.ts'

/** What was proven by an answer. */
type Proven = 'queued' | 'accepted' | 'delivered'

export interface Acknowledgement {
  readonly key: string
  readonly proven: Proven
  /** When the answer was there: as `process.hrtime.bigint()` has it, which is the clock of a trace. */
  readonly at: bigint
}

/** States of one send that say at least that much. */
const provenBy: Readonly<Record<string, Proven>> = {
  queued: 'queued',
  accepted: 'accepted',
  delivered: 'delivered',
  read: 'delivered',
}

export class Acknowledgements {
  readonly all: Acknowledgement[] = []
  /** Answers of another kind, or none because the daemon had gone. */
  unanswered = 0

  before(time: bigint): readonly Acknowledgement[] {
    return this.all.filter(({ at }) => at < time)
  }

  /**
   * Notes what an answer to one message says. 0 stands for none.
   *
   * @throws Error when the message itself was refused: then it is the test that is wrong
   */
  note(key: string, status: number, body: unknown): void {
    const at = process.hrtime.bigint()
    const proven = provenBy[(body as { state?: string } | null)?.state ?? '']
    if (status >= 400 && status < 500 && status !== 429) throw new Error(`${key}: ${status} ${JSON.stringify(body)}`)
    if ((status !== 200 && status !== 202) || proven === undefined) this.unanswered += 1
    else this.all.push({ key, proven, at })
  }
}

export interface TrafficOptions {
  /** Begins every key, so that several rounds do not meet. */
  readonly label: string
  readonly to: string
  /** Messages sent at once, and again when all are answered. */
  readonly concurrent: number
  readonly rounds: number
  /** Messages in a request to the batch route, one request a round. */
  readonly batch: number
  /** Messages sent one after the other until each is delivered, beside the rounds. */
  readonly awaited: number
}

/** Sends in every way there is, and notes every answer. A daemon that goes away ends it early. */
export async function sendTraffic(member: TestMember, noted: Acknowledgements, o: TrafficOptions): Promise<void> {
  await Promise.all([sendRounds(member, noted, o), sendBatches(member, noted, o), sendAwaited(member, noted, o)])
}

async function sendRounds(member: TestMember, noted: Acknowledgements, o: TrafficOptions): Promise<void> {
  for (let round = 0; round < o.rounds; round += 1) {
    await Promise.all(
      Array.from({ length: o.concurrent }, async (_, place) => {
        const key = `${o.label}/single/${round}/${place}`
        await sendOne(member, noted, { to: o.to, key, bytes: 1_024 })
      }),
    )
  }
}

async function sendBatches(member: TestMember, noted: Acknowledgements, o: TrafficOptions): Promise<void> {
  for (let round = 0; round < o.rounds && o.batch > 0; round += 1) {
    const keys = Array.from({ length: o.batch }, (_, place) => `${o.label}/batch/${round}/${place}`)
    const body = keys.map((key) => ({ to: o.to, message: textOf(key, 300), client_message_id: key }))
    const answer = await member.request({ method: 'POST', path: '/v1/send/batch', body }).catch(() => null)
    const { items = [] } = (answer?.json ?? {}) as { items?: { status: number; body: unknown }[] }
    for (const [place, key] of keys.entries()) noted.note(key, items[place]?.status ?? 0, items[place]?.body)
    await nextTurn()
  }
}

async function sendAwaited(member: TestMember, noted: Acknowledgements, o: TrafficOptions): Promise<void> {
  for (let n = 0; n < o.awaited; n += 1) {
    const key = `${o.label}/awaited/${n}`
    // Every third one spans pages of the database.
    const bytes = n % 3 === 0 ? 12_000 : 100
    await sendOne(member, noted, { to: o.to, key, bytes })
    for (const until of ['accepted', 'delivered']) {
      await sendOne(member, noted, { to: o.to, key, bytes, query: `?wait=5000&until=${until}` })
    }
  }
}

/** The same key and the same bytes are the same message, however often they are sent. */
async function sendOne(
  member: TestMember,
  noted: Acknowledgements,
  o: { readonly to: string; readonly key: string; readonly bytes: number; readonly query?: string },
): Promise<void> {
  const body = { to: o.to, message: textOf(o.key, o.bytes), client_message_id: o.key }
  const answer: HttpAnswer | null = await member.send(body, o.query).catch(() => null)
  noted.note(o.key, answer?.status ?? 0, answer?.json)
}

function textOf(key: string, bytes: number): string {
  return `${key} `.padEnd(bytes, '.')
}
