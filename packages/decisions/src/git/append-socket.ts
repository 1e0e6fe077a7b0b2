/** Appends for others on the host: whoever holds the lease of a space takes them over a Unix socket (07 §4). */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { fromProblem, MeshError, toProblem } from '@claudemesh/protocol'
import type { AppendOptions } from '../decision-log.ts'
import type { DecisionDraft, DecisionEvent } from '../event.ts'
import { newSocketPath } from './socket-place.ts'

/** An append on its way to whoever may do it. */
export interface ForwardedAppend {
  readonly space: string
  readonly drafts: readonly DecisionDraft[]
  readonly o: AppendOptions
}

/** Whoever has what is appended to some spaces decided. */
export interface Elsewhere {
  has(space: string): boolean
  append(append: ForwardedAppend): Promise<readonly DecisionEvent[]>
}

/** Drafts of one append, and what JSON adds to them. */
const bodyBytesMax = 80 * 1024 * 1024

export class AppendSocket {
  readonly path: string
  readonly #server: Server

  /** @param take does the append; what it throws is answered */
  static async listen(take: (append: ForwardedAppend) => Promise<readonly DecisionEvent[]>): Promise<AppendSocket> {
    const path = await newSocketPath()
    const server = createServer((asked, answer) => void serve(asked, answer, take))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    return new AppendSocket(path, server)
  }

  private constructor(path: string, server: Server) {
    this.path = path
    this.#server = server
  }

  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }
}

/**
 * Has an append done by whoever listens at a socket.
 *
 * @returns null when nobody answered: it may have been done or not
 * @throws MeshError what the other one has thrown
 */
export async function forward(
  socketPath: string,
  append: ForwardedAppend,
  signal: AbortSignal,
): Promise<readonly DecisionEvent[] | null> {
  const answered = await send(socketPath, JSON.stringify(append), signal)
  if (answered === null) return null
  const body: unknown = JSON.parse(answered.text)
  if (answered.status === 200) return body as readonly DecisionEvent[]
  throw fromProblem(body as object)
}

function send(
  socketPath: string,
  text: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string } | null> {
  return new Promise((resolve) => {
    // A holder that is gone, or stopped until the signal comes: the same intent is asked for again, of it or of another.
    const gone = () => resolve(null)
    const asked = request({ socketPath, method: 'POST', path: '/', signal }, (answer) => {
      readText(answer).then((body) => resolve({ status: answer.statusCode ?? 0, text: body }), gone)
    })
    asked.once('error', gone)
    asked.end(text)
  })
}

async function serve(
  asked: IncomingMessage,
  answer: ServerResponse,
  take: (append: ForwardedAppend) => Promise<readonly DecisionEvent[]>,
): Promise<void> {
  try {
    const events = await take(JSON.parse(await readText(asked)) as ForwardedAppend)
    answer.writeHead(200).end(JSON.stringify(events))
  } catch (error) {
    const problem = error instanceof MeshError ? error : new MeshError('internal_error', { cause: error })
    answer.writeHead(problem.status).end(JSON.stringify(toProblem(problem)))
  }
}

async function readText(from: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of from) {
    bytes += (chunk as Buffer).length
    if (bytes > bodyBytesMax) throw new MeshError('invalid_request', { detail: 'The append is too large.' })
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
