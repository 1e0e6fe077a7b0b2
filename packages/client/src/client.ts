/**
 * The typed client of a daemon's local API (03 §2, §6): one method per route.
 *
 * 1. Every send carries an idempotency key, the caller's or one made here, and every repeat carries the same one.
 * 2. A call that failed throws a MeshError whose `hint` says what to do; that of a send names its key, with which the
 *    caller can send again without sending twice.
 *
 * It does not start a daemon and keeps no state beyond its connections.
 */
import type {
  Compat,
  DropResponse,
  FreezeResponse,
  Health,
  HeartbeatResponse,
  Identity,
  InboxPage,
  InboxQuery,
  InboxSearchQuery,
  MarkRequest,
  MarkResponse,
  MeshEvent,
  Message,
  OutboxDetail,
  OutboxList,
  OutboxQuery,
  OutboxRowView,
  PeersResponse,
  ProfileRequest,
  ProfileResponse,
  PruneRequest,
  PruneResponse,
  RequeueRequest,
  RequeueResponse,
  RevokeInviteResponse,
  RevokeMemberRequest,
  RevokeMemberResponse,
  RotateKeypairResponse,
  RotateTokenResponse,
  SendRequest,
  SendResponse,
  Thread,
  Topic,
  TopicList,
  TopicPostRequest,
  Version,
} from '@claudemesh/protocol'
import { Artifacts } from './artifacts.ts'
import type { BatchItemAnswer, ClientOptions, SendOptions } from './client-options.ts'
import { discoverEndpoint } from './discover.ts'
import { type EventsOptions, followEvents } from './events.ts'
import { Files } from './files.ts'
import { History } from './history.ts'
import { Hooks } from './hooks.ts'
import { eachRow } from './pages.ts'
import { createIdSource, daemonPaths } from './protocol.ts'
import { Queues } from './queues.ts'
import { type ClientRuntime, systemRuntime } from './runtime.ts'
import { Sending, traceHeaders } from './sending.ts'
import { Sinks } from './sinks.ts'
import { Spaces } from './spaces.ts'
import { type Call, Transport } from './transport.ts'

/**
 * @example
 * const client = openClient({ home: `${homedir()}/.claudemesh`, mesh: 'home' })
 * const { state } = await client.send({ to: '@reviewer', message: 'build is green' }, { waitMs: 2000 })
 * await client.close()
 */
export function openClient(options: ClientOptions): MeshClient {
  return new MeshClient(options)
}

export class MeshClient {
  readonly #transport: Transport
  readonly #runtime: ClientRuntime
  readonly #sending: Sending
  /** Executables that events fire. */
  readonly hooks: Hooks
  /** Exports of the history. */
  readonly sinks: Sinks
  /** Work queues. */
  readonly queues: Queues
  /** Packages of files. */
  readonly artifacts: Artifacts
  /** What is shared with peers and topics. */
  readonly files: Files
  /** What was decided. */
  readonly spaces: Spaces
  /** The record of everything sent and received. */
  readonly history: History

  constructor(options: ClientOptions) {
    const paths = daemonPaths(options.home, options.mesh)
    this.#runtime = options.runtime ?? systemRuntime()
    this.#transport = new Transport({
      discover: () => discoverEndpoint(paths),
      policy: { retryMsMax: options.retryMsMax ?? 5_000, awaitDaemon: options.awaitDaemon ?? false },
      runtime: this.#runtime,
    })
    const nextId = createIdSource(() => this.#runtime.now())
    this.#sending = new Sending(this.#transport, nextId)
    this.hooks = new Hooks(this.#transport)
    this.sinks = new Sinks(this.#transport)
    this.queues = new Queues(this.#transport)
    this.history = new History(this.#transport)
    this.files = new Files(this.#transport, nextId)
    this.artifacts = new Artifacts(this.#transport, { runtime: this.#runtime, nextId })
    this.spaces = new Spaces(this.#transport, { runtime: this.#runtime, nextId })
  }

  /** Ends the connections. Calls under way fail. */
  async close(): Promise<void> {
    this.#transport.close()
  }

  /** Keeps a message and sends it; the answer says which state is proven. */
  async send(request: SendRequest, options: SendOptions = {}): Promise<SendResponse> {
    return await this.#sending.send('/v1/send', request, options)
  }

  /** As `send`, to a topic. */
  async topicPost(request: TopicPostRequest, options: SendOptions = {}): Promise<SendResponse> {
    return await this.#sending.send('/v1/topic/post', request, options)
  }

  /** 1 to 256 sends in one request; one answer per item, in order. A bad item never fails the others. */
  async sendBatch(
    requests: readonly SendRequest[],
    options: Pick<SendOptions, 'trace' | 'signal'> = {},
  ): Promise<readonly BatchItemAnswer[]> {
    const body = requests.map((request) => this.#sending.withKey(request))
    const answer = await this.#call<{ items: readonly BatchItemAnswer[] }>({
      method: 'POST',
      path: '/v1/send/batch',
      headers: traceHeaders(options.trace ?? null),
      body,
      repeatable: true,
      signal: options.signal,
    })
    return answer.items
  }

  async topicSubscribe(topic: string): Promise<Topic> {
    return await this.#post('/v1/topic/subscribe', { topic }, 'repeatable')
  }

  async topicUnsubscribe(topic: string): Promise<Topic> {
    return await this.#post('/v1/topic/unsubscribe', { topic }, 'repeatable')
  }

  async topics(): Promise<TopicList> {
    return await this.#get('/v1/topic/list')
  }

  /** One page of the inbox. */
  async inbox(query: InboxQuery = {}): Promise<InboxPage> {
    return await this.#get('/v1/inbox', query)
  }

  /** Every message of the inbox that the query selects, fetched page by page. */
  inboxMessages(query: InboxQuery = {}): AsyncGenerator<Message, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.inbox(after === null ? query : { ...query, after })
      return { rows: page.messages, next: page.next }
    })
  }

  /** One page of the messages whose text matches. */
  async inboxSearch(query: InboxSearchQuery): Promise<InboxPage> {
    return await this.#get('/v1/inbox/search', query)
  }

  /** Marks messages read, or unread with `read: false`. */
  async mark(request: MarkRequest): Promise<MarkResponse> {
    return await this.#post('/v1/inbox/mark', request, 'repeatable')
  }

  async message(id: string): Promise<Message> {
    return await this.#get(`/v1/messages/${encodeURIComponent(id)}`)
  }

  /** The reply chain that a message belongs to. */
  async thread(id: string): Promise<Thread> {
    return await this.#get(`/v1/threads/${encodeURIComponent(id)}`)
  }

  /** One page of the outbox. */
  async outbox(query: OutboxQuery = {}): Promise<OutboxList> {
    return await this.#get('/v1/outbox', query)
  }

  /** Every row of the outbox that the query selects, fetched page by page. */
  outboxRows(query: OutboxQuery = {}): AsyncGenerator<OutboxRowView, void, undefined> {
    return eachRow(async (after) => await this.outbox(after === null ? query : { ...query, after }))
  }

  /** A row with its receipts and successors, by outbox id or by client_message_id. */
  async outboxRow(id: string): Promise<OutboxDetail> {
    return await this.#get(`/v1/outbox/${encodeURIComponent(id)}`)
  }

  /** Sends a pending or dead row again under a new id. Not repeated by itself: a second one would find no such row. */
  async requeue(outboxId: string, request: RequeueRequest = {}): Promise<RequeueResponse> {
    return await this.#post(`/v1/outbox/${encodeURIComponent(outboxId)}/requeue`, request, 'once')
  }

  /** Gives a pending or dead row up. */
  async drop(outboxId: string): Promise<DropResponse> {
    return await this.#post(`/v1/outbox/${encodeURIComponent(outboxId)}/drop`, {}, 'once')
  }

  /** Seals what waits in the outbox, as a backup wants it. */
  async freezeOutbox(): Promise<FreezeResponse> {
    return await this.#post('/v1/outbox/freeze', {}, 'repeatable')
  }

  /** Removes dead and aborted rows for good. */
  async prune(request: PruneRequest = {}): Promise<PruneResponse> {
    return await this.#post('/v1/outbox/prune', request, 'once')
  }

  async peers(): Promise<PeersResponse> {
    return await this.#get('/v1/peers')
  }

  async profile(request: ProfileRequest): Promise<ProfileResponse> {
    return await this.#post('/v1/profile', request, 'repeatable')
  }

  /** Who this host is in the mesh. */
  async identity(): Promise<Identity> {
    return await this.#get('/v1/identity')
  }

  /** Replaces the keys of this member. Not repeated by itself: each call is a rotation. */
  async rotateKeypair(): Promise<RotateKeypairResponse> {
    return await this.#post('/v1/identity/rotate-keypair', {}, 'once')
  }

  /** Replaces the local token, which is then read from its file. */
  async rotateToken(): Promise<RotateTokenResponse> {
    return await this.#post('/v1/identity/rotate-token', {}, 'once')
  }

  /** Ends a member's place in the mesh, for ever. */
  async revokeMember(member: string, request: RevokeMemberRequest = {}): Promise<RevokeMemberResponse> {
    return await this.#post(`/v1/members/${encodeURIComponent(member)}/revoke`, request, 'repeatable')
  }

  /** Lets nobody else join by an invite. */
  async revokeInvite(inviteId: string): Promise<RevokeInviteResponse> {
    return await this.#post(`/v1/invites/${encodeURIComponent(inviteId)}/revoke`, {}, 'repeatable')
  }

  /** Events as they happen, resumed without a gap across restarts of the daemon. */
  events(options: EventsOptions = {}): AsyncGenerator<MeshEvent, void, undefined> {
    return followEvents(this.#transport, this.#runtime, options)
  }

  async health(options: { readonly signal?: AbortSignal } = {}): Promise<Health> {
    return await this.#call({ method: 'GET', path: '/v1/health', repeatable: true, signal: options.signal })
  }

  async version(): Promise<Version> {
    return await this.#get('/v1/version')
  }

  async compat(): Promise<Compat> {
    return await this.#get('/v1/compat')
  }

  /** Metrics in Prometheus' text format. */
  async metrics(): Promise<string> {
    return await this.#get('/v1/metrics')
  }

  /** The OpenAPI 3.1 document of every route. */
  async openapi(): Promise<Readonly<Record<string, unknown>>> {
    return await this.#get('/v1/openapi.json')
  }

  /** Tells the daemon that a client of that name is alive. */
  async heartbeat(client: string): Promise<HeartbeatResponse> {
    return await this.#post('/v1/heartbeat', { client }, 'repeatable')
  }

  async #get<Answer>(path: string, query: Call['query'] = {}): Promise<Answer> {
    return await this.#call({ method: 'GET', path, query, repeatable: true })
  }

  async #post<Answer>(path: string, body: unknown, repetition: 'repeatable' | 'once'): Promise<Answer> {
    return await this.#call({ method: 'POST', path, body, repeatable: repetition === 'repeatable' })
  }

  /** The one place where an answer gets its type: the daemon made it from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}
