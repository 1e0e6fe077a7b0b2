import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Connections, type HttpRequest } from '../../packages/client/src/connections.ts'
import { eventually } from '../support/eventually.ts'

interface Daemon {
  readonly connections: Connections
  /** Connections that stand. */
  standing(): Promise<number>
}

async function listen(serve: RequestListener): Promise<Daemon> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-'))
  const path = join(directory, 's')
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const connections = new Connections({ kind: 'socket', path })
  onTestFinished(() => {
    connections.close()
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const standing = () =>
    new Promise<number>((resolve, reject) =>
      server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
    )
  return { connections, standing }
}

function get(o: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', path: '/', headers: {}, silenceMsMax: 30_000, ...o }
}

async function read(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of answer.setEncoding('utf8')) text += part
  return text
}

describe('connections to a daemon', () => {
  test('are used again', async () => {
    const { connections, standing } = await listen((_request, response) => response.end('ok'))
    for (let asked = 0; asked < 5; asked += 1) expect(await read(await connections.ask(get()))).toBe('ok')
    expect(await standing()).toBe(1)
  })

  test('are 64 at most, and whoever comes later waits its turn', async () => {
    const open: ServerResponse[] = []
    const { connections, standing } = await listen((_request, response) => void open.push(response))
    const answers = Array.from({ length: 70 }, async () => await read(await connections.ask(get())))
    await eventually('64 requests arrived', () => open.length === 64)
    expect(await standing()).toBe(64)
    for (const response of open.splice(0)) response.end('ok')
    await eventually('the others arrived', () => open.length === 6)
    for (const response of open) response.end('ok')
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 70 }, () => 'ok'))
  })

  test('give a request up whose signal fires while it waits its turn', async () => {
    const open: ServerResponse[] = []
    const { connections } = await listen((_request, response) => void open.push(response))
    const answers = Array.from({ length: 64 }, () => connections.ask(get()))
    const stop = new AbortController()
    const late = connections.ask(get({ signal: stop.signal }))
    await eventually('64 requests arrived', () => open.length === 64)
    stop.abort(new Error('enough'))
    await expect(late).rejects.toThrow('enough')
    for (const response of open) response.end('ok')
    await Promise.all(answers)
    expect(open).toHaveLength(64)
  })

  test('give a daemon up that keeps silent, before its answer and within it', async () => {
    const { connections } = await listen((request, response) => {
      if (request.url === '/within') response.write('half')
    })
    await expect(connections.ask(get({ silenceMsMax: 50 }))).rejects.toMatchObject({ code: 'answer_timeout' })
    const answer = await connections.ask(get({ path: '/within', silenceMsMax: 2_000 }))
    await expect(read(answer)).rejects.toMatchObject({ code: 'answer_timeout' })
  })

  test('tell the reader of an answer why its signal fired', async () => {
    const { connections } = await listen((_request, response) => response.write('half'))
    const stop = new AbortController()
    const answer = await connections.ask(get({ signal: stop.signal }))
    stop.abort(new Error('enough'))
    await expect(read(answer)).rejects.toThrow('enough')
  })

  test('that are retired end when the last request on them has', async () => {
    const open: ServerResponse[] = []
    const { connections, standing } = await listen((_request, response) => void open.push(response))
    const answers = Array.from({ length: 2 }, async () => await read(await connections.ask(get())))
    await eventually('both arrived', () => open.length === 2)
    connections.retire()
    for (const response of open) response.end('ok')
    expect(await Promise.all(answers)).toEqual(['ok', 'ok'])
    await eventually('none stands', async () => (await standing()) === 0)
  })

  test('that are closed fail what is under way', async () => {
    const open: ServerResponse[] = []
    const { connections, standing } = await listen((_request, response) => void open.push(response))
    const asked = connections.ask(get())
    await eventually('it arrived', () => open.length === 1)
    connections.close()
    await expect(asked).rejects.toThrow('the client was closed')
    await eventually('none stands', async () => (await standing()) === 0)
  })
})
