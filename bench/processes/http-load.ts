/**
 * The load generator: a process of its own that asks over keep-alive connections as fast as it is answered, each with
 * one request in flight. It writes bytes made beforehand and reads of an answer no more than its status and its length,
 * so that it costs a fraction of what it measures; it tells how much of a processor it took, so that one can see.
 */
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { HttpLoadJob, LoadResult } from '../load.ts'

process.on('message', async (job: HttpLoadJob) => {
  process.send?.(await carryOut(job))
})
process.send?.('ready')

async function carryOut(job: HttpLoadJob): Promise<LoadResult> {
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => open(job.socketPath)))
  const request = encodeRequest(job)
  const spentBefore = process.cpuUsage()
  const started = performance.now()
  const lanes = await Promise.all(sockets.map((socket) => ask(socket, request, { job, started })))
  const elapsedMs = performance.now() - started
  const spent = process.cpuUsage(spentBefore)
  for (const socket of sockets) socket.destroy()
  return {
    perSecond: (lanes.flat().length * 1000) / elapsedMs,
    latenciesMs: lanes.flat().sort((a, b) => a - b),
    processorShare: (spent.user + spent.system) / 1000 / elapsedMs,
  }
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path }, () => resolve(socket))
    socket.once('error', reject)
  })
}

function encodeRequest({ path, body }: HttpLoadJob): Buffer {
  const length = Buffer.byteLength(body)
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
  return Buffer.from(head + body)
}

/** One connection. @returns the time of each answer */
function ask(socket: Socket, request: Buffer, o: { job: HttpLoadJob; started: number }): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const latenciesMs: number[] = []
    let askedAt = performance.now()
    let rest: Buffer = Buffer.alloc(0)
    const next = () => {
      askedAt = performance.now()
      const { until } = o.job
      const isOver = 'ms' in until ? askedAt - o.started >= until.ms : latenciesMs.length >= until.answers
      if (isOver) resolve(latenciesMs)
      else socket.write(request)
    }
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server ended a connection')))
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const answer = readAnswer(rest)
      if (answer === null) return
      if (answer.status >= 300) reject(new Error(`answered ${rest.toString('utf8')}`))
      rest = rest.subarray(answer.length)
      latenciesMs.push(performance.now() - askedAt)
      next()
    })
    next()
  })
}

const statusAt = 'HTTP/1.1 '.length
const lengthField = 'content-length: '

/** @returns null while the answer is not all there */
function readAnswer(bytes: Buffer): { readonly status: number; readonly length: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const head = bytes.toString('latin1', 0, headEnd)
  const lengthAt = head.indexOf(lengthField)
  if (lengthAt < 0) throw new Error(`an answer without a length: ${head}`)
  const length = headEnd + 4 + Number.parseInt(head.slice(lengthAt + lengthField.length), 10)
  return bytes.length < length ? null : { status: Number(head.slice(statusAt, statusAt + 3)), length }
}
