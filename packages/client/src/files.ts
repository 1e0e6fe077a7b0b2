/** Files shared with peers and topics, and the bytes behind every id (06 §16, §17). */
import type { ShareList, ShareListQuery, ShareRequest, ShareResponse, ShareView } from '@claudemesh/protocol/artifacts'
import type { CallOptions } from './artifacts.ts'
import { type Download, openDownload } from './download.ts'
import { eachRow } from './pages.ts'
import { type Call, type Transport, withQuery } from './transport.ts'

/** A directory is read and kept before the answer, however large it is. */
const keepMsMax = 24 * 3_600_000

export class Files {
  readonly #transport: Transport
  readonly #nextId: () => string

  constructor(transport: Transport, nextId: () => string) {
    this.#transport = transport
    this.#nextId = nextId
  }

  /** Shares a file, a directory or a package. When it returns the share is kept, and goes out by itself. */
  async share(request: ShareRequest, o: CallOptions = {}): Promise<ShareResponse> {
    const body = { ...request, client_message_id: request.client_message_id ?? this.#nextId() }
    return await this.#call({
      method: 'POST',
      path: '/v1/file/share',
      body,
      repeatable: true,
      patienceMs: keepMsMax,
      ...o,
    })
  }

  /** One page of what is shared with others and by others, in the order of the ids. */
  async list(query: ShareListQuery = {}): Promise<ShareList> {
    return await this.#call({ method: 'GET', path: '/v1/file/list', query, repeatable: true })
  }

  /** Every share that the query selects, fetched page by page. */
  each(query: ShareListQuery = {}): AsyncGenerator<ShareView, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.list(after === null ? query : { ...query, after })
      return { rows: page.shares, next: page.next }
    })
  }

  /** Does nothing more for a share: the sender's is not sent, if it was not; the recipient's is not fetched. */
  async revoke(id: string, o: { readonly reason?: string } = {}): Promise<ShareView> {
    return await this.#call({ method: 'POST', path: '/v1/file/revoke', body: { share_id: id, ...o }, repeatable: true })
  }

  /** The bytes of a share, a file, a file of a package (with `path`) or a content; a share is fetched first. */
  async get(id: string, o: CallOptions & { readonly path?: string } = {}): Promise<Download> {
    const { path, ...options } = o
    return await openDownload(this.#transport, { path: withQuery('/v1/file/get', { id, path }), ...options })
  }

  /** The daemon made the answer from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}
