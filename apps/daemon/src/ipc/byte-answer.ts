/**
 * Bytes as the answer to GET and HEAD (06 §16, RFC 9110 §13, §14): the same bytes under the same name for ever, so what a
 * client has of them stays right, and a part of them can be asked for.
 */
import { Readable } from 'node:stream'
import { MeshError } from '@claudemesh/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readRange } from './byte-range.ts'
import { writeSha256 } from './digest-header.ts'
import { clientGone } from './raw-body.ts'

/** What is known of bytes before they are read. */
export interface NamedBytes {
  /** Names the bytes and no others; becomes the entity tag. */
  readonly address: string
  readonly sizeBytes: number
  /** Lower-case hexadecimal digits. */
  readonly sha256: string
  readonly mediaType: string
  readonly fileName: string
  readonly read: (o: {
    readonly range?: { readonly start: number; readonly end: number }
    readonly signal: AbortSignal
  }) => Promise<AsyncIterable<Uint8Array>>
}

/** @throws MeshError `range_not_satisfiable`, and what reading throws before the first byte */
export async function answerWithBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: NamedBytes,
): Promise<FastifyReply> {
  const { address, sizeBytes, sha256, mediaType, fileName } = bytes
  const tag = `"${address}"`
  const lasting = { etag: tag, 'cache-control': 'private, no-cache' }
  if (isKnown(request, tag)) return reply.code(304).headers(lasting).send()
  const range = wantedRange(request, bytes, tag)
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${sizeBytes}`)
    throw new MeshError('range_not_satisfiable', { detail: `There are ${sizeBytes} bytes; the range is not in them` })
  }
  const wanted = { ...(range === null ? {} : { range }), signal: clientGone(reply) }
  const body = request.method === 'HEAD' ? null : await begin(await bytes.read(wanted))
  reply.code(range === null ? 200 : 206).headers({
    ...lasting,
    'repr-digest': writeSha256(sha256),
    'accept-ranges': 'bytes',
    'content-type': mediaType,
    'content-length': range === null ? sizeBytes : range.end - range.start + 1,
    'content-disposition': attachment(fileName),
    'x-content-type-options': 'nosniff',
  })
  if (range !== null) reply.header('content-range', `bytes ${range.start}-${range.end}/${sizeBytes}`)
  return body === null ? reply.send() : reply.send(body)
}

/** Whether the client has these bytes already. */
export function isKnown({ headers }: FastifyRequest, tag: string): boolean {
  const known = headers['if-none-match']
  if (known === undefined) return false
  return known.trim() === '*' || tagsIn(known).includes(tag)
}

/** A range is for GET, and only of the very bytes that the client has the other parts of. */
function wantedRange({ method, headers }: FastifyRequest, { sizeBytes }: NamedBytes, tag: string) {
  const condition = headers['if-range']
  if (method !== 'GET' || headers.range === undefined) return null
  return condition === undefined || condition === tag ? readRange(headers.range, sizeBytes) : null
}

/**
 * Reads the first of the bytes: what is wrong with them by then is an answer, and not an end of the connection; and what
 * has begun lets go of what it holds when it is ended.
 */
export async function begin(body: AsyncIterable<Uint8Array>): Promise<Readable> {
  const iterator = body[Symbol.asyncIterator]()
  const first = await iterator.next()
  return Readable.from(continued(first, iterator), { objectMode: false, highWaterMark: 1 })
}

/** No generator: one that is ended before its first step would not let go of anything. */
function continued(first: IteratorResult<Uint8Array>, iterator: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  let held: IteratorResult<Uint8Array> | null = first
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const next = held ?? (await iterator.next())
        held = null
        return next
      },
      return: async () => {
        await iterator.return?.()
        return { done: true, value: undefined }
      },
    }),
  }
}

/** Entity tags of a list, weak ones by what they compare as. */
function tagsIn(list: string): readonly string[] {
  return [...list.matchAll(/(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g)].map(([, tag = '']) => tag)
}

/** Never shown in a page of a browser. The name in both forms of RFC 6266. */
function attachment(fileName: string): string {
  const plain = fileName.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  const encoded = encodeURIComponent(fileName).replaceAll(/['()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  })
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
