/** HTTP as bytes on a connection: for requests that no client would send. */
import net from 'node:net'

/** One answer as it was read from the connection. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Sends bytes, ends its half of the connection, and collects everything until the other side has ended its own.
 *
 * @param listener path of a Unix socket, or an address
 */
export function exchange(listener: string | net.TcpNetConnectOpts, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = typeof listener === 'string' ? net.connect(listener) : net.connect(listener)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error),
    )
    socket.end(bytes)
  })
}

/** The answers in what was read from a connection, each with a length as the daemon writes them. */
export function readAnswers(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n')
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1])
    if (end < 0 || Number.isNaN(status)) throw new Error(`no answer: ${JSON.stringify(rest.slice(0, 200))}`)
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    if (status === 100) {
      rest = rest.slice(end + 4)
      continue
    }
    const bytes = Number(headers['content-length'] ?? 0)
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + bytes) })
    rest = rest.slice(end + 4 + bytes)
  }
  return answers
}
