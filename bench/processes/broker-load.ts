/**
 * The load generator of the broker: members on connections of their own, each with one frame of messages unanswered.
 * A frame differs from the one before in its ids alone; of the results only their number and status are looked at.
 */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { createIdSource } from '@claudemesh/protocol'
import type { WebSocket } from 'ws'
import { message, RawMember } from '../../test/support/raw-member.ts'
import { RawMesh } from '../../test/support/raw-mesh.ts'
import type { BrokerLoadJob } from '../load.ts'

const [url = '', connections = '', items = ''] = process.argv.slice(2)
const nextId = createIdSource(() => Date.now())
const mesh = new RawMesh()
const recipient = mesh.join('recipient')
await (await RawMember.connect(url, recipient)).close()
const sockets = await connectAll(Number(connections))
const frame = makeFrame(Number(items))

process.on('message', async ({ ms }: BrokerLoadJob) => {
  const spentBefore = process.cpuUsage()
  const started = performance.now()
  const frames = await Promise.all(sockets.map((socket) => post(socket, started + ms)))
  const elapsedMs = performance.now() - started
  const spent = process.cpuUsage(spentBefore)
  const answered = frames.reduce((sum, count) => sum + count, 0) * Number(items)
  const processorShare = (spent.user + spent.system) / 1000 / elapsedMs
  process.send?.({ perSecond: (answered * 1000) / elapsedMs, latenciesMs: [], processorShare })
})
process.send?.('connected')

/** One after the other: the broker admits only so many handshakes at once. */
async function connectAll(count: number): Promise<readonly WebSocket[]> {
  const sockets: WebSocket[] = []
  for (let n = 0; n < count; n += 1) {
    const { socket } = await RawMember.connect(url, mesh.join(`member-${n}`))
    socket.removeAllListeners('message')
    sockets.push(socket)
  }
  return sockets
}

function makeFrame(count: number): () => string {
  const item = message({
    id: 'ID',
    to: { kind: 'dm', ref: recipient.memberId },
    // A sealed message of 1 KiB for two; what is in it, the broker cannot tell.
    sealed: randomBytes(1_700),
    mentions: [recipient.memberId],
  })
  const [before = '', after = ''] = JSON.stringify(item).split('"ID"')
  return () => {
    const texts = Array.from({ length: count }, () => `${before}"${nextId()}"${after}`)
    return `{"type":"send","items":[${texts.join(',')}]}`
  }
}

/** One connection. @returns how many of its frames were answered */
function post(socket: WebSocket, until: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let answered = 0
    const answer = (data: unknown) => {
      const { type, items: results } = JSON.parse(String(data)) as { type: string; items: { status: number }[] }
      if (type !== 'send_results') return
      const refused = results.find(({ status }) => status !== 201)
      if (refused !== undefined) reject(new Error(`the broker answered ${JSON.stringify(refused)}`))
      answered += 1
      if (performance.now() < until) {
        socket.send(frame())
        return
      }
      socket.off('message', answer)
      resolve(answered)
    }
    socket.on('message', answer)
    socket.send(frame())
  })
}
