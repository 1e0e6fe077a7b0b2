import http from 'node:http'

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON; text is sent as it is. */
  readonly body?: unknown
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  /** The body when it is JSON, else null. */
  readonly json: unknown
}

/** One request on a Unix socket, as curl would make it; rejects when the connection breaks. */
export function requestOverSocket(socketPath: string, request: HttpRequest): Promise<HttpAnswer> {
  const { method, path, body } = request
  const json = body !== undefined && typeof body !== 'string'
  const headers = { ...(json ? { 'content-type': 'application/json' } : {}), ...request.headers }
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ socketPath, method, path, headers, timeout: 35_000 }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json: parse(text) })
      })
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer in time`)))
    outgoing.on('error', reject)
    if (body === undefined) outgoing.end()
    else outgoing.end(json ? JSON.stringify(body) : (body as string))
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not every answer is JSON; the caller that expects it sees null.
    return null
  }
}
