/**
 * A broker that lies to a real daemon: it says of members, topics and messages what a test tells it to. It has what a
 * broker has, no key of anybody; the people of the mesh, whose keys are here too, are honest unless a test says otherwise.
 */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { type MemberKeys, readKeyFile, readMeshFile } from '@claudemesh/identity'
import {
  type BrokerEvent,
  type Certificate,
  type DaemonFrame,
  type DeliveryItem,
  type DeliveryOutcome,
  encodeEnvelope,
  type Frame,
  type MemberRecord,
  meshFilePath,
  type RevocationList,
  readDaemonFrame,
  type SendItem,
} from '@claudemesh/protocol'
import { open, PairwiseKeys, seal } from '@claudemesh/sealing'
import { eventually } from './eventually.ts'
import { type TestMember, TestMesh } from './mesh.ts'
import { ScriptedBroker, type ScriptedConnection } from './scripted-broker.ts'

/** Somebody with keys, in this mesh or not. */
export interface Person {
  readonly memberId: string
  readonly keys: MemberKeys
  readonly chain: readonly Certificate[]
}

/** What differs in a message from the ordinary dm to the daemon under test. */
export interface MessageFields extends Partial<Pick<DeliveryItem, 'client_message_id' | 'destination' | 'reply_to'>> {
  readonly recipients?: readonly Person[]
  readonly epoch?: number
}

export class MaliciousBroker {
  readonly mesh: TestMesh
  /** The member whose daemon is under test; it founded the mesh. */
  readonly alice: TestMember
  readonly #scripted: ScriptedBroker
  readonly #acknowledged = new Map<string, DeliveryOutcome>()
  #connection: ScriptedConnection | null = null
  #count = 0

  // ---- what this broker says; a test sets it -----------------------------------------------------------------------
  members: MemberRecord[] = []
  /** By topic. */
  readonly recipients = new Map<string, { recipients_epoch: number; members: string[] }>()
  revocations: { list: RevocationList | null; chain: Certificate[] } = { list: null, chain: [] }
  history: Omit<DeliveryItem, 'delivery_id'>[] = []
  /** Of which sends it says that their recipients have changed, and to which epoch. */
  readonly stale = new Map<string, number>()

  // ---- what the daemon said ----------------------------------------------------------------------------------------
  readonly sent: SendItem[] = []
  readonly requests: Frame<'request'>[] = []

  static async start(): Promise<MaliciousBroker> {
    const mesh = await TestMesh.start(['alice', 'bob', 'carol'], { startMembers: false })
    await mesh.broker.kill()
    const answer = (request: Frame<'request'>) => broker.#answer(request)
    const scripted = await ScriptedBroker.start({ port: mesh.broker.port, answer })
    const broker: MaliciousBroker = new MaliciousBroker(mesh, scripted)
    await broker.alice.start()
    await broker.accept()
    return broker
  }

  private constructor(mesh: TestMesh, scripted: ScriptedBroker) {
    this.mesh = mesh
    this.alice = mesh.member('alice')
    this.#scripted = scripted
    this.members = ['alice', 'bob', 'carol'].map((name) => recordOf(this.person(name)))
  }

  async end(): Promise<void> {
    await this.#scripted.stop()
    await this.mesh.end()
  }

  person(name: string): Person {
    const member = this.mesh.member(name)
    const { memberId, chain } = readMeshFile(meshFilePath(member.home, 'test'))
    return { memberId, chain, keys: readKeyFile(member.paths.keypair) }
  }

  /** Takes the next connection of the daemon, which then reads the directory. */
  async accept(): Promise<void> {
    const listed = this.#countOf('topics.list')
    const connection = await this.#scripted.accepted()
    this.#connection = connection
    connection.socket.on('message', (data) => {
      const reading = readDaemonFrame(String(data))
      if (reading.ok) this.#take(connection, reading.frame)
    })
    await eventually('the daemon has read the directory', () => this.#countOf('topics.list') > listed)
  }

  /** Takes the inbox of the daemon under test away while it does not run. */
  loseInbox(): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.alice.paths.inboxDatabase}${suffix}`, { force: true })
  }

  /** Breaks the connection, so that the daemon asks for everything again. */
  async reconnect(): Promise<void> {
    this.#connected.socket.terminate()
    await this.accept()
  }

  tell(...items: BrokerEvent[]): void {
    this.#connected.send({ type: 'event', items })
  }

  /** @returns what the daemon said of each delivery, in order */
  async deliver(items: readonly DeliveryItem[]): Promise<DeliveryOutcome[]> {
    for (let first = 0; first < items.length; first += 50) {
      this.#connected.send({ type: 'deliver', items: items.slice(first, first + 50) })
    }
    return eventually('all deliveries are acknowledged', () => {
      const outcomes = items.map((item) => this.#acknowledged.get(item.delivery_id))
      return outcomes.every((outcome) => outcome !== undefined) ? outcomes : null
    })
  }

  /** A message as its sender sealed it, for the daemon under test unless told otherwise. */
  message(from: Person, text: string, fields: MessageFields = {}): DeliveryItem {
    const alice = this.person('alice')
    const item = {
      client_message_id: fields.client_message_id ?? `client-${this.#next()}`,
      destination: fields.destination ?? { kind: 'dm' as const, ref: alice.memberId },
      reply_to: fields.reply_to ?? null,
      sender: from.memberId,
      priority: 'next' as const,
    }
    const sealed = seal({
      header: {
        meshId: this.meshId,
        sender: from.memberId,
        senderEpoch: fields.epoch ?? 0,
        clientMessageId: item.client_message_id,
        destination: item.destination,
        replyTo: item.reply_to,
        priority: item.priority,
        recipientsEpoch: item.destination.kind === 'topic' ? 1 : null,
      },
      plaintext: encodeEnvelope({ metaCanonicalJson: '', body: Buffer.from(text) }),
      recipients: [...(fields.recipients ?? [alice]), from].map(({ memberId, keys }) => ({
        memberId,
        boxKey: keys.box.publicKey,
      })),
      keys: new PairwiseKeys({ box: from.keys.box, max: 8 }),
      random: (length) => randomBytes(length),
    })
    return this.again({
      ...item,
      delivery_id: '',
      broker_message_id: '',
      history_id: '',
      accepted_at: 1,
      sealed: sealed.toString('base64'),
    })
  }

  /** The same message as another delivery under a new id of the broker. */
  again(item: DeliveryItem): DeliveryItem {
    const n = this.#next()
    const id = `01JZZZZZZZZZZZZZZZZZ${String(n).padStart(6, '0')}`
    return { ...item, delivery_id: `d${n}`, broker_message_id: id, history_id: String(n) }
  }

  get meshId(): string {
    return this.person('alice').chain[0]?.mesh_id ?? ''
  }

  /** What somebody can read of a message of the daemon under test; null: nothing. */
  readAs(reader: Person, item: SendItem): string | null {
    const alice = this.person('alice')
    const opening = open({
      sealed: Buffer.from(item.sealed, 'base64'),
      expected: {
        meshId: this.meshId,
        sender: alice.memberId,
        clientMessageId: item.client_message_id,
        destination: item.destination,
        replyTo: item.reply_to,
        priority: item.priority,
      },
      senderBoxKey: () => alice.keys.box.publicKey,
      keys: [new PairwiseKeys({ box: reader.keys.box, max: 8 })],
    })
    return opening.ok ? opening.plaintext.toString('utf8') : null
  }

  /** Every transmission of a message. */
  async transmissions(clientMessageId: string, atLeast = 1): Promise<readonly SendItem[]> {
    return eventually(`${clientMessageId} is sent`, () => {
      const found = this.sent.filter((item) => item.client_message_id === clientMessageId)
      return found.length >= atLeast ? found : null
    })
  }

  /** The sum of a metric of the daemon over its labels. */
  async metric(name: string): Promise<number> {
    const { text } = await this.alice.request({ method: 'GET', path: '/v1/metrics' })
    const values = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  get #connected(): ScriptedConnection {
    if (this.#connection === null) throw new Error('the daemon is not connected')
    return this.#connection
  }

  #next(): number {
    this.#count += 1
    return this.#count
  }

  #countOf(op: string): number {
    return this.requests.filter((request) => request.op === op).length
  }

  #take(connection: ScriptedConnection, frame: DaemonFrame): void {
    if (frame.type === 'deliver_ack') {
      for (const { delivery_id, outcome } of frame.items) this.#acknowledged.set(delivery_id, outcome)
    }
    if (frame.type !== 'send') return
    this.sent.push(...frame.items)
    const items = frame.items.map(({ client_message_id }) => {
      const epoch = this.stale.get(client_message_id)
      this.stale.delete(client_message_id)
      if (epoch !== undefined) {
        return { client_message_id, status: 409, code: 'recipients_stale', recipients_epoch: epoch }
      }
      const n = this.#next()
      const broker_message_id = `01JYYYYYYYYYYYYYYYYY${String(n).padStart(6, '0')}`
      return { client_message_id, status: 201 as const, broker_message_id, history_id: String(n), recipient_count: 1 }
    })
    connection.send({ type: 'send_results', items })
  }

  #answer(request: Frame<'request'>): object | null {
    this.requests.push(request)
    const { op, params } = request
    const topics = [...this.recipients].map(([name, { members }]) => ({
      name,
      subscribers: members.length,
      subscribed: false,
      created_at: 1,
    }))
    switch (op) {
      case 'members.list':
        return { members: this.members, next: null }
      case 'topics.list':
        return { topics, next: null }
      case 'topics.recipients':
        return this.recipients.get(String((params as { topic?: unknown }).topic)) ?? null
      case 'revocations.get':
        return this.revocations
      case 'revocations.put':
        return { number: (params as { list: RevocationList }).list.number }
      case 'history.page':
        return { messages: this.history, next: null }
      default:
        return null
    }
  }
}

/** A member as a broker lists it. */
export function recordOf({ memberId, chain }: Pick<Person, 'memberId' | 'chain'>): MemberRecord {
  const nothing = { last_seen_at: null, summary: null, activity: null }
  return { member_id: memberId, chain: [...chain], status: 'active', online: false, ...nothing }
}
