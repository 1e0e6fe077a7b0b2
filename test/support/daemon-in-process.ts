/** A daemon inside the test's own process: the real one on real files and sockets, without the start of a process. */
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { onTestFinished } from 'vitest'
import { Daemon } from '../../apps/daemon/src/daemon.ts'
import { type Runtime, systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { LogFile } from '../../packages/storage/src/log-file.ts'
import type { TestHome } from './home.ts'
import type { HttpAnswer, HttpRequest } from './http-over-socket.ts'

/** A header that is null is left out. */
export interface DaemonRequest extends Omit<HttpRequest, 'headers'> {
  readonly headers?: Readonly<Record<string, string | null>>
}

export interface RunningDaemon {
  readonly daemon: Daemon
  readonly host: TestHome
  request(request: DaemonRequest): Promise<HttpAnswer>
  get(path: string): Promise<HttpAnswer>
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>
  /** Over TCP, with the token unless `headers` say otherwise. */
  tcp(request: DaemonRequest): Promise<HttpAnswer>
  readonly token: () => string
  readonly port: () => number
  /** The lines of its log so far. */
  logLines(): readonly Record<string, unknown>[]
  close(): Promise<void>
}

export interface DaemonTestOptions {
  readonly flags?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly runtime?: Runtime
}

/** Starts a daemon, and ends it with the test unless the test does. */
export async function startDaemon(host: TestHome, options: DaemonTestOptions = {}): Promise<RunningDaemon> {
  const { flags = {}, env = {}, runtime = systemRuntime() } = options
  // A daemon sets it for its process, which here is that of other tests too.
  const umask = process.umask()
  onTestFinished(() => void process.umask(umask))
  const daemon = await Daemon.open({
    sources: { home: host.home, mesh: host.slug, flags: { 'log.level': 'debug', ...flags }, env },
    selfCommand: [process.execPath, '-e', ''],
    runtime,
    listenFd: null,
    openLogDestination: (path) => new LogFile({ path, bytesMax: 1024 * 1024, filesKept: 1 }),
  })
  let closed: Promise<void> | null = null
  const close = () => {
    closed ??= daemon.close()
    return closed
  }
  onTestFinished(close)
  const request = (each: DaemonRequest) => requestAt({ socketPath: daemon.socket }, each)
  const token = () => readFileSync(host.paths.localToken, 'utf8').trim()
  const port = () => Number(readFileSync(host.paths.httpPort, 'utf8'))
  return {
    daemon,
    host,
    request,
    get: (path) => request({ method: 'GET', path }),
    post: (path, body, headers) =>
      request({ method: 'POST', path, ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) }),
    tcp: (each) =>
      requestAt(
        { host: '127.0.0.1', port: port() },
        { ...each, headers: { authorization: `Bearer ${token()}`, ...each.headers } },
      ),
    token,
    port,
    logLines: () =>
      readFileSync(host.paths.log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    close,
  }
}

/** Where a daemon listens. */
export type Listener = { readonly socketPath: string } | { readonly host: string; readonly port: number }

/** One request on a connection of its own. */
export function requestAt(listener: Listener, request: DaemonRequest): Promise<HttpAnswer> {
  const { method, path, body } = request
  const json = body !== undefined && typeof body !== 'string'
  const named = { ...(json ? { 'content-type': 'application/json' } : {}), ...request.headers }
  const headers = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null))
  const target: http.RequestOptions = { ...listener, method, path, headers, setHost: !('host' in named), agent: false }
  return new Promise((resolve, reject) => {
    const outgoing = http.request(target, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        const isJson = /\bjson\b/.test(String(answer.headers['content-type']))
        const value: unknown = isJson && text !== '' ? JSON.parse(text) : null
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json: value })
      })
    })
    outgoing.on('error', reject)
    if (body === undefined) outgoing.end()
    else outgoing.end(json ? JSON.stringify(body) : (body as string))
  })
}
