import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { daemonPaths } from '@claudemesh/protocol'
import { onTestFinished } from 'vitest'

export interface ScriptedRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly json: unknown
}

/** What is done with the next request: answered, or the connection is cut. */
export type Step = (response: ServerResponse, request: ScriptedRequest) => void

/**
 * A server on the socket of a daemon that plays one step per request, for what a real daemon does too seldom: busy,
 * stopping, cut off in the middle of an answer, back on the same socket.
 */
export class ScriptedDaemon {
  readonly home = mkdtempSync(join(tmpdir(), 'cm-'))
  readonly mesh = 'home'
  readonly requests: ScriptedRequest[] = []
  #steps: Step[] = []
  #always: Step = answer(500, { code: 'internal_error', detail: 'the script is over' })
  #server: Server | null = null

  constructor() {
    mkdirSync(daemonPaths(this.home, this.mesh).directory, { recursive: true })
    onTestFinished(async () => {
      await this.stop()
      rmSync(this.home, { recursive: true, force: true })
    })
  }

  /** Answers every request in the same way. */
  async serve(step: Step): Promise<void> {
    await this.start()
    this.#always = step
  }

  async start(...steps: readonly Step[]): Promise<void> {
    this.#steps = [...steps]
    const server = createServer((request, response) => void this.#serve(request, response))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(daemonPaths(this.home, this.mesh).socket, resolve))
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of incoming.setEncoding('utf8')) text += chunk
    const { method = '', url = '', headers } = incoming
    const request = { method, url, headers, json: text === '' ? null : JSON.parse(text) }
    this.requests.push(request)
    const step = this.#steps.shift() ?? this.#always
    step(response, request)
  }
}

export function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Step {
  const type = status < 300 ? 'application/json' : 'application/problem+json'
  return (response) => {
    response.writeHead(status, { 'content-type': type, ...headers })
    response.end(JSON.stringify(body))
  }
}

/** Ends the connection without an answer, as a kill does. */
export const cut: Step = (response) => void response.socket?.destroy()

/** Sends this much of an event stream and leaves it open, or cuts it. */
export function stream(text: string, then: 'open' | 'cut'): Step {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(text, () => {
      if (then === 'cut') response.socket?.destroy()
    })
  }
}
