/** Members that send and receive without end, through every disconnect, as daemons do. */
import { setTimeout as pause } from 'node:timers/promises'
import type { HistoryItem, SendItem, SendResult } from '@claudemesh/protocol'
import { message, RawMember } from './raw-member.ts'
import type { MemberIdentity } from './raw-mesh.ts'

/** A send and the number that the broker gave it. */
export interface AcceptedSend {
  readonly sender: MemberIdentity
  readonly item: SendItem
  readonly brokerMessageId: string
}

/** Sends frame after frame, each again and again until it is answered, as an outbox does. */
export async function sendUntil(
  stop: AbortSignal,
  options: { readonly url: string; readonly sender: MemberIdentity; readonly reader: MemberIdentity },
): Promise<readonly AcceptedSend[]> {
  const { url, sender, reader } = options
  const accepted: AcceptedSend[] = []
  let member: RawMember | null = null
  while (!stop.aborted) {
    const to = { kind: 'dm', ref: reader.memberId } as const
    const items = Array.from({ length: 20 }, () => message({ to, receipts: false }))
    let results: readonly SendResult[] | null = null
    while (results === null) {
      try {
        member ??= await RawMember.connect(url, sender)
        const answered = await member.post(items)
        // A broker whose storage is away says so for each message: they too are sent again as they were.
        if (answered.every(({ status }) => status < 500)) results = answered
        else await pause(50)
      } catch {
        // The broker was killed: whatever became of the frame, it is sent again as it was.
        member?.socket.terminate()
        member = null
      }
    }
    for (const [index, result] of results.entries()) {
      const item = items[index]
      if (item === undefined || !('history_id' in result)) throw new Error(`not accepted: ${JSON.stringify(result)}`)
      accepted.push({ sender, item, brokerMessageId: result.broker_message_id })
    }
  }
  await member?.close()
  return accepted
}

/** Receives and acknowledges, through every disconnect. */
export function receiveUntil(stop: AbortSignal, options: { readonly url: string; readonly reader: MemberIdentity }) {
  const seen = new Set<string>()
  let ended = false
  const loop = async () => {
    let member: RawMember | null = null
    while (!ended) {
      try {
        member ??= await RawMember.connect(options.url, options.reader)
        const { items } = await member.next('deliver', () => true, 500)
        for (const item of items) seen.add(item.broker_message_id)
        member.acknowledge(items)
      } catch {
        if (member?.isClosed === false && stop.aborted) continue
        member?.socket.terminate()
        member = null
      }
    }
    member?.socket.terminate()
  }
  const running = loop()
  return {
    count: () => seen.size,
    has: (brokerMessageId: string) => seen.has(brokerMessageId),
    end: () => {
      ended = true
      return running
    },
  }
}

/** Everything that was addressed to a member, oldest first. */
export async function readHistory(member: RawMember): Promise<readonly HistoryItem[]> {
  const items: HistoryItem[] = []
  for (let after: string | null = '0'; after !== null; ) {
    const page: { messages: HistoryItem[]; next: string | null } = await member.request('history.page', {
      after,
      since: 0,
      limit: 256,
    })
    items.push(...page.messages)
    after = page.next
  }
  return items
}
