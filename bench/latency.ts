/** One message on an idle system, from the request to the event at its recipient, against what physics asks for it. */

import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import http from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { TestMesh } from '../test/support/mesh.ts'
import { type Benchmark, type Contest, quantile } from './benchmark.ts'
import { message } from './sending-daemon.ts'

export const latency: Benchmark = {
  name: 'latency',
  limit:
    'three fsyncs and two round trips on loopback: each of the three places has it on disk, two connections lie between',
  figures: [
    {
      name: 'latency',
      about:
        'p50 from POST /v1/send to the event at the recipient / three fsyncs and two loopback round trips, in time',
      target: { atMost: 3 },
    },
  ],
  prepare,
}

const messages = 15
/** Longer than anything that one message sets in motion: the next one finds everything at rest. */
const restMs = 60

async function prepare(): Promise<Contest> {
  const mesh = await TestMesh.start(['alice', 'bob'])
  const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  const events = await followMessages(bob.socket)
  const floor = await openFloor(mesh.directory)
  return {
    subject: async () => ({
      latency: await medianOf(async () => {
        const event = events.next()
        const { status, text } = await alice.send(message)
        if (status !== 202) throw new Error(`not accepted: ${text}`)
        await event
      }),
    }),
    limit: async () => ({ latency: await medianOf(floor.once) }),
    close: async () => {
      events.close()
      floor.close()
      await mesh.end()
    },
  }
}

async function medianOf(work: () => Promise<void>): Promise<number> {
  const times: number[] = []
  while (times.length < messages) {
    await pause(restMs)
    const started = performance.now()
    await work()
    times.push(performance.now() - started)
  }
  return quantile(
    times.sort((a, b) => a - b),
    0.5,
  )
}

interface MessageEvents {
  /** Resolves when the next message is told of. */
  next(): Promise<void>
  close(): void
}

async function followMessages(socketPath: string): Promise<MessageEvents> {
  const request = http.get({ socketPath, path: '/v1/events?types=message' })
  const [stream] = (await once(request, 'response')) as [http.IncomingMessage]
  let told: () => void = () => undefined
  stream.on('data', (chunk: Buffer) => {
    if (chunk.includes('event: message')) told()
  })
  const next = () => new Promise<void>((resolve) => (told = resolve))
  return { next, close: () => void request.destroy() }
}

interface Floor {
  once(): Promise<void>
  close(): void
}

/** What cannot be saved: every one of the three places has the message on disk, and two connections lie between. */
async function openFloor(directory: string): Promise<Floor> {
  const file = openSync(join(directory, 'floor'), 'a')
  const server = createServer((socket) => socket.setNoDelay().pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  const socket: Socket = connect(address.port, '127.0.0.1').setNoDelay()
  await once(socket, 'connect')
  const page = Buffer.alloc(4096)
  const exchange = async () => {
    socket.write(page)
    for (let length = 0; length < page.length; ) length += ((await once(socket, 'data')) as [Buffer])[0].length
  }
  return {
    once: async () => {
      for (let place = 0; place < 3; place += 1) {
        writeSync(file, page)
        fsyncSync(file)
        if (place < 2) await exchange()
      }
    },
    close: () => {
      socket.destroy()
      server.close()
      closeSync(file)
    },
  }
}
