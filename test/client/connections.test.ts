import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
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

describe('a body that is a stream', () => {
  /** Parts of 64 KiB, and how many of them were asked for. */
  function parts(count: number): { readonly source: Readable; readonly made: () => number } {
    let made = 0
    const source = Readable.from(
      (async function* () {
        for (; made < count; made += 1) yield Buffer.alloc(65_536, 'x')
      })(),
    )
    return { source, made: () => made }
  }

  async function countBytes(request: IncomingMessage): Promise<number> {
    let bytes = 0
    for await (const chunk of request) bytes += (chunk as Buffer).length
    return bytes
  }

  test('arrives whole, and its connection is used again', async () => {
    const { connections, standing } = await listen(async (request, response) => {
      response.end(String(await countBytes(request)))
    })
    for (let asked = 0; asked < 3; asked += 1) {
      const { source } = parts(40)
      expect(await read(await connections.ask(get({ method: 'PUT', body: source })))).toBe(String(40 * 65_536))
      expect(source.destroyed).toBe(true)
    }
    expect(await standing()).toBe(1)
  })

  test('is read no faster than the daemon takes it', async () => {
    let taken: IncomingMessage | null = null
    const { connections } = await listen((request) => {
      taken = request
    })
    const { source, made } = parts(10_000)
    const stop = new AbortController()
    const asked = connections.ask(get({ method: 'PUT', body: source, signal: stop.signal }))
    await eventually('the request arrived', () => taken !== null)
    let before = -1
    await eventually('no more is read', () => {
      const rests = made() === before
      before = made()
      return rests
    })
    expect(made()).toBeLessThan(1_000)
    stop.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
    await eventually('the source is closed', () => source.destroyed)
  })

  test('is given up when the daemon answers before its end, and the answer is read', async () => {
    const { connections } = await listen((_request, response) => {
      response.statusCode = 409
      response.end('x'.repeat(200_000))
    })
    const { source, made } = parts(100_000)
    const answer = await connections.ask(get({ method: 'PUT', body: source }))
    expect(answer.statusCode).toBe(409)
    expect(await read(answer)).toHaveLength(200_000)
    expect(made()).toBeLessThan(100_000)
    expect(source.destroyed).toBe(true)
  })

  test('that fails ends the request, and the daemon sees it cut', async () => {
    let arrived = false
    let cut = false
    const { connections } = await listen((request) => {
      arrived = true
      request.resume().on('error', () => {
        cut = true
      })
    })
    const source = Readable.from(
      (async function* () {
        yield Buffer.from('half')
        await eventually('the request arrived', () => arrived)
        throw new Error('the disk broke')
      })(),
    )
    const failed = connections.ask(get({ method: 'PUT', body: source }))
    await expect(failed).rejects.toMatchObject({ cause: expect.objectContaining({ message: 'the disk broke' }) })
    await eventually('the daemon saw it', () => cut)
  })

  test('may be slow to come; only after its end the daemon has to answer in time', async () => {
    const { connections } = await listen(async (request, response) => {
      const bytes = await countBytes(request)
      if (request.url === '/answered') response.end(String(bytes))
    })
    const slow = () =>
      Readable.from(
        (async function* () {
          yield Buffer.from('a')
          await delay(300)
          yield Buffer.from('b')
        })(),
      )
    const put = (path: string) => connections.ask(get({ method: 'PUT', path, body: slow(), silenceMsMax: 100 }))
    expect(await read(await put('/answered'))).toBe('2')
    await expect(put('/silent')).rejects.toMatchObject({ code: 'answer_timeout' })
  })
})
