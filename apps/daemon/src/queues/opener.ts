import type { QueueItem } from '@claudemesh/protocol'
import type { MessageContent } from '../inbox/inbox.ts'

/** What opening needs of a message of a queue, taken or dead. */
export type SealedWork = Omit<QueueItem, 'lease_id' | 'lease_until'>

export interface OpenedWork<Item> {
  readonly item: Item
  readonly content: MessageContent
}

export interface WorkOpenerOptions {
  /** Opens one message. Never throws. */
  readonly open: (
    claim: Pick<SealedWork, 'client_message_id' | 'sender' | 'destination' | 'reply_to' | 'priority'> & {
      readonly bytes: Uint8Array
    },
  ) => MessageContent
  /** Reads the directory for members whom nobody here knows. Never rejects. */
  readonly lookForSenders: (memberIds: readonly string[]) => Promise<void>
}

/**
 * Opens messages of queues. What opens was sealed for the queue that it was asked of, whatever the broker says. For senders
 * whom nobody here knows the directory is read once more before they are judged.
 */
export class WorkOpener {
  readonly #options: WorkOpenerOptions

  constructor(options: WorkOpenerOptions) {
    this.#options = options
  }

  async open<Item extends SealedWork>(queue: string, items: readonly Item[]): Promise<readonly OpenedWork<Item>[]> {
    const opened = items.map((item) => this.#open(queue, item))
    const unknown = opened.flatMap(({ item, content }) => (isOfUnknownSender(content) ? [item.sender] : []))
    if (unknown.length === 0) return opened
    await this.#options.lookForSenders([...new Set(unknown)])
    return opened.map((work) => (isOfUnknownSender(work.content) ? this.#open(queue, work.item) : work))
  }

  #open<Item extends SealedWork>(queue: string, item: Item): OpenedWork<Item> {
    const destination = { kind: 'queue', ref: queue } as const
    return { item, content: this.#options.open({ ...item, destination, bytes: Buffer.from(item.sealed, 'base64') }) }
  }
}

function isOfUnknownSender(content: MessageContent): boolean {
  return !content.opened && content.reason === 'sender_unknown'
}
