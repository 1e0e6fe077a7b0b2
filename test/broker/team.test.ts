/** A team around one broker, set up with the commands that docs/self-hosting.md shows. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Condition, Message } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { CommandLine, type DaemonStarted, killIfThere } from '../cli/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort } from '../support/mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

test('a mesh is registered while the broker is open to new ones, and works while it is closed', async () => {
  const port = await findFreePort()
  const publicUrl = await startProxy(port)
  const places = { data: join(scratchDirectory(), 'broker'), port, publicUrl }
  const asShown = brokerCommand(places)
  const closed = asShown.filter((_, n) => ![n, n - 1].some((at) => asShown[at] === '--registration'))
  expect(closed.length, 'the command that the document shows says --registration open').toBe(asShown.length - 2)

  const tooSoon = await startBroker(closed)
  const alice = new CommandLine()
  alice.json(['init', '--mesh', 'team', '--name', 'alice', '--broker', publicUrl])
  alice.startDaemon('team')
  const [condition] = await eventually('the refusal is known', () => {
    const { conditions } = statusOf(alice)
    return conditions.some(({ code }) => code !== 'link_down') && conditions
  })
  expect(condition).toMatchObject({
    code: 'mesh_not_registered',
    remedy: expect.stringContaining('--registration open'),
  })
  await tooSoon.kill()

  const open = await startBroker(asShown)
  restartDaemon(alice)
  await eventually('the mesh is registered', () => statusOf(alice).status === 'ok')
  await open.kill()

  await startBroker(closed)
  restartDaemon(alice)
  const { token } = alice.json<{ token: string }>(['invite', 'create'])
  const bob = new CommandLine()
  bob.json(['join', '-', '--name', 'bob'], { input: token })
  bob.startDaemon('team')
  await eventually('they see each other', () =>
    [alice, bob].every((one) => one.json<{ peers: unknown[] }>(['peers']).peers.length === 2),
  )
  bob.json(['topic', 'subscribe', 'changes'])
  expect(alice.json(['send', '--to', '@bob', '--wait', 'delivered', 'hi'])).toMatchObject({ state: 'delivered' })
  expect(alice.json(['send', '--to', '#changes', '--wait', 'delivered', 'it grows'])).toMatchObject({
    state: 'delivered',
  })
  const { messages } = bob.json<{ messages: Message[] }>(['inbox'])
  expect(messages.map(({ message }) => message).toSorted()).toEqual(['hi', 'it grows'])
}, 120_000)

/** The first `broker start` of docs/self-hosting.md, with places of this test's own. */
function brokerCommand(places: { readonly data: string; readonly port: number; readonly publicUrl: string }) {
  const document = readFileSync(new URL('../../docs/self-hosting.md', import.meta.url), 'utf8')
  const words = /^claudemesh (broker start .*)$/m.exec(document)?.[1]?.split(' ') ?? []
  const values: Readonly<Record<string, string>> = {
    '--data': places.data,
    '--port': String(places.port),
    '--public-url': places.publicUrl,
  }
  for (const option of Object.keys(values)) expect(words).toContain(option)
  return words.map((word, n) => values[words[n - 1] ?? ''] ?? word)
}

async function startBroker(args: readonly string[]): Promise<ManagedProcess> {
  const process = new ManagedProcess(args, {})
  onTestFinished(async () => {
    await process.kill()
  })
  await eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return process.output.includes('broker listening on ')
  })
  return process
}

/**
 * Stands where the proxy stands that ends TLS: members reach the broker under this address and no other. It has a thread
 * of its own, since this one waits for each command.
 */
async function startProxy(port: number): Promise<string> {
  const proxy = new Worker(forwarder, { eval: true, workerData: { port } })
  onTestFinished(async () => {
    await proxy.terminate()
  })
  const [proxyPort] = await once(proxy, 'message')
  return `ws://127.0.0.1:${proxyPort}`
}

const forwarder = `
  const { connect, createServer } = require('node:net')
  const { parentPort, workerData } = require('node:worker_threads')
  const server = createServer((near) => {
    const far = connect(workerData.port, '127.0.0.1')
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

/** It would come back by itself, after a delay that grows with every refusal. */
function restartDaemon(line: CommandLine): void {
  const { pid } = line.json<DaemonStarted>(['daemon', 'restart'])
  onTestFinished(() => killIfThere(pid))
}

function statusOf(line: CommandLine): { readonly status: string; readonly conditions: readonly Condition[] } {
  return JSON.parse(line.run(['daemon', 'status', '--json']).stdout)
}
