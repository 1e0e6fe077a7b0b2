/**
 * Members who share over a relay in memory: each has a real store of artifacts, a real inbox and real events, and the
 * daemon's own sharing between them. A message goes from one to the others as the outbox and the broker bring it, once
 * for each id.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry, type Registry } from '@claudemesh/artifacts'
import { createIdSource, type JsonObject, MeshError, type SharedFiles } from '@claudemesh/protocol'
import { onTestFinished } from 'vitest'
import { Events } from '../../apps/daemon/src/events/events.ts'
import { Inbox } from '../../apps/daemon/src/inbox/inbox.ts'
import { OfferTaker } from '../../apps/daemon/src/shares/offer-taker.ts'
import { ShareAnnouncer } from '../../apps/daemon/src/shares/share-announcer.ts'
import { ShareFetcher } from '../../apps/daemon/src/shares/share-fetcher.ts'
import { ShareFiles } from '../../apps/daemon/src/shares/share-files.ts'
import { ShareSender } from '../../apps/daemon/src/shares/share-sender.ts'
import { eventually } from './eventually.ts'
import { memberIdOf, messageIdOf } from './inbox-drafts.ts'
import type { MemoryRelay } from './memory-relay.ts'
import { scratchDirectory } from './scratch-directory.ts'
import { silentLog } from './silent-log.ts'

export interface SentShare {
  readonly clientMessageId: string
  readonly message: string
  readonly files: SharedFiles
}

let messages = 0

export class SharingPeer {
  readonly name: string
  readonly id: string
  readonly home: string
  readonly registry: Registry
  readonly inbox: Inbox
  readonly events: Events
  readonly files: ShareFiles
  readonly fetcher: ShareFetcher
  readonly sender: ShareSender
  /** What its outbox holds, by id. */
  readonly outbox = new Map<string, SentShare>()
  readonly clock: { now: number }
  /** Changes what is sent on its way, as a hostile sender would. */
  alter: (files: SharedFiles) => JsonObject = (files) => files as unknown as JsonObject
  autoFetchBytesMax = 1024 * 1024
  /** Bytes that its disk budget has left. */
  roomBytes = Number.POSITIVE_INFINITY
  readonly #peers: Map<string, SharingPeer>

  static async open(name: string, o: { relay: MemoryRelay; peers: Map<string, SharingPeer> }): Promise<SharingPeer> {
    const home = join(scratchDirectory(), name)
    mkdirSync(join(home, 'db'), { recursive: true, mode: 0o700 })
    const clock = { now: Date.now() }
    const now = () => clock.now
    const registry = await openRegistry({
      databaseUrl: `sqlite:${join(home, 'db', 'registry.db')}`,
      storageRoot: join(home, 'objects'),
      runtime: { now, nextId: createIdSource(now) },
    })
    const peer = new SharingPeer(name, { ...o, home, registry, clock })
    o.peers.set(peer.id, peer)
    return peer
  }

  private constructor(
    name: string,
    o: {
      home: string
      registry: Registry
      clock: { now: number }
      relay: MemoryRelay
      peers: Map<string, SharingPeer>
    },
  ) {
    const { home, registry, clock, relay, peers } = o
    this.name = name
    this.id = memberIdOf(name)
    this.home = home
    this.registry = registry
    this.clock = clock
    this.#peers = peers
    const now = () => clock.now
    const runtime = { now, monotonicMs: () => performance.now(), random: () => 0, nextId: createIdSource(now) }
    this.inbox = Inbox.open({ path: join(home, 'db', 'inbox.db'), runtime }).inbox
    this.events = Events.open({ path: join(home, 'db', 'events.db'), runtime })
    const store = { isFounded: true, use: <T>(run: (registry: Registry) => Promise<T>) => run(registry) }
    const room = {
      within: (source: AsyncIterable<Uint8Array>) => this.#within(source),
      taken: (bytes: number) => {
        this.roomBytes -= bytes
      },
    }
    const parts = { store, room, relay, selfId: this.id, runtime, log: silentLog() }
    const nameOf = (memberId: string) => peers.get(memberId)?.name ?? null
    const random = () => 0
    const announcer = new ShareAnnouncer({ ...parts, events: this.events, nameOf, random })
    this.fetcher = new ShareFetcher({
      ...parts,
      autoFetchBytesMax: () => this.autoFetchBytesMax,
      onFetched: () => announcer.wake(),
    })
    const onReceived = () => this.fetcher.wake()
    const taker = new OfferTaker({ ...parts, offers: this.inbox.offers, random, onReceived })
    this.inbox.offers.onNoted(() => taker.wake())
    this.sender = new ShareSender({
      ...parts,
      findRecipients: ({ kind, ref }) => (kind === 'dm' ? [ref] : this.#others().map(({ id }) => id)),
      acceptMessage: async (request, files) => this.#send(request, files),
    })
    this.files = new ShareFiles({
      ...parts,
      home: join(home, 'db'),
      resolve: async (to) => {
        return to.startsWith('#') ? { kind: 'topic', ref: to.slice(1) } : { kind: 'dm', ref: memberIdOf(to) }
      },
      relayFault: () => null,
      onCreated: () => this.sender.wake(),
    })
    const workers = [this.sender, taker, this.fetcher, announcer]
    onTestFinished(async () => {
      for (const worker of workers) await worker.stop()
      this.inbox.close()
      this.events.close()
      await registry.close()
    })
  }

  /** The one share that it has received, once it is in a state. */
  receivedShare(status: 'received' | 'fetched') {
    return eventually(`${this.name} has a share that is ${status}`, async () => {
      const { items } = await this.files.list({ direction: 'received' })
      return items.find((share) => share.status === status) ?? null
    })
  }

  async read(fileId: string): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of (await this.registry.getFile(fileId)).body) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** What readers of its events were told of shares. */
  announced(): readonly Readonly<Record<string, unknown>>[] {
    return this.events.after(0, 100, ['file_shared']).map(({ data }) => data)
  }

  /** Delivers something as a message to this member. */
  deliver(from: SharingPeer, clientMessageId: string, files: JsonObject): void {
    messages += 1
    const n = messages
    this.inbox.store([
      {
        brokerMessageId: messageIdOf(n),
        clientMessageId,
        sender: from.id,
        historyId: String(n),
        destination: { kind: 'dm', ref: this.id },
        replyToId: null,
        priority: 'next',
        acceptedAt: n,
        content: { opened: true, body: 'a file', meta: { $files: files } },
      },
    ])
  }

  async *#within(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > this.roomBytes) throw new MeshError('insufficient_storage')
      yield chunk
    }
  }

  #others(): readonly SharingPeer[] {
    return [...this.#peers.values()].filter((peer) => peer !== this)
  }

  #send(request: { to: string; message: string; client_message_id?: string | undefined }, files: SharedFiles): void {
    const { to, message, client_message_id: clientMessageId = '' } = request
    if (this.outbox.has(clientMessageId)) return
    this.outbox.set(clientMessageId, { clientMessageId, message, files })
    const recipients = to.startsWith('#') ? this.#others() : this.#others().filter(({ id }) => id === to)
    for (const recipient of recipients) recipient.deliver(this, clientMessageId, this.alter(files))
  }
}

export async function openPeers(relay: MemoryRelay, ...names: readonly string[]): Promise<readonly SharingPeer[]> {
  const peers = new Map<string, SharingPeer>()
  for (const name of names) await SharingPeer.open(name, { relay, peers })
  return [...peers.values()]
}
