/** Artifacts over the socket of a daemon: requests with bytes both ways, which other tests of the IPC have no use for. */
import http from 'node:http'
import type { ArtifactPackage, IngestedArtifactFile } from '@claudemesh/protocol/artifacts'

export interface BytesAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly bytes: Buffer
  /** The body when it is JSON, else null. */
  readonly json: unknown
}

export interface BytesRequest {
  readonly method: string
  /** Below `/v1/artifacts`, as it goes over the wire. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

const base = '/v1/artifacts'

/** One request on a connection of its own. */
function ask(socketPath: string, { method, path, headers = {}, body }: BytesRequest): Promise<BytesAnswer> {
  return new Promise((resolve, reject) => {
    const target = { socketPath, method, path: `${base}${path}`, headers, agent: false }
    const outgoing = http.request(target, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const bytes = Buffer.concat(chunks)
        const isJson = /json/.test(String(answer.headers['content-type'])) && bytes.length > 0
        const json: unknown = isJson ? JSON.parse(bytes.toString('utf8')) : null
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, bytes, json })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Artifacts of one daemon. */
export class ArtifactsOf {
  readonly #socketPath: () => string

  constructor(socketPath: () => string) {
    this.#socketPath = socketPath
  }

  request(request: BytesRequest): Promise<BytesAnswer> {
    return ask(this.#socketPath(), request)
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<BytesAnswer> {
    return this.request({ method: 'GET', path, headers })
  }

  post(path: string, body: unknown = {}, headers: Readonly<Record<string, string>> = {}): Promise<BytesAnswer> {
    const typed = { 'content-type': 'application/json', ...headers }
    return this.request({ method: 'POST', path, headers: typed, body: JSON.stringify(body) })
  }

  /** A package that takes files. @returns its id */
  async newPackage(over: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const body = { name: 'report', producer: 'ci', retention_class: 'transient', ...over }
    const answer = await this.post('/packages', body)
    if (answer.status !== 201) throw new Error(`no package: ${answer.status} ${answer.bytes}`)
    return (answer.json as ArtifactPackage).package_id
  }

  put(
    packageId: string,
    path: string,
    body: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<BytesAnswer> {
    return this.request({ method: 'PUT', path: `/packages/${packageId}/files/${path}`, headers, body })
  }

  /** Puts a file that is taken. */
  async file(packageId: string, path: string, body: string | Uint8Array): Promise<IngestedArtifactFile> {
    const answer = await this.put(packageId, path, body)
    if (answer.status !== 201) throw new Error(`no file: ${answer.status} ${answer.bytes}`)
    return answer.json as IngestedArtifactFile
  }

  /** The code of the problem that a request is refused with, and its status; null for what was not refused. */
  async refusal(request: BytesRequest): Promise<readonly [status: number, code: string] | null> {
    const { status, json } = await this.request(request)
    return status < 400 ? null : [status, (json as { code: string }).code]
  }
}
