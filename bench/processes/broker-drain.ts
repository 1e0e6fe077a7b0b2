/** A member that comes back: it takes what has waited for it, acknowledges a number of messages, and goes. */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { limits } from '@claudemesh/protocol'
import { message, RawMember } from '../../test/support/raw-member.ts'
import { RawMesh } from '../../test/support/raw-mesh.ts'
import type { DrainJob, DrainResult } from '../load.ts'

const [url = ''] = process.argv.slice(2)
const mesh = new RawMesh()
const recipient = mesh.join('recipient')
await (await RawMember.connect(url, recipient)).close()
const sender = await RawMember.connect(url, mesh.join('sender'))
const sealed = randomBytes(1_700)
await post(1)

process.on('message', async (job: DrainJob) => {
  const perSecond = 'post' in job ? await post(job.post) : await drain(job.receive)
  const result: DrainResult = { perSecond, residentMiB: Math.round(process.memoryUsage.rss() / 1024 / 1024) }
  process.send?.(result)
})
process.send?.('connected')

/** @returns messages a second */
async function post(messages: number): Promise<number> {
  const started = performance.now()
  for (let posted = 0; posted < messages; posted += limits.itemsPerFrameMax) {
    const count = Math.min(limits.itemsPerFrameMax, messages - posted)
    const to = { kind: 'dm', ref: recipient.memberId } as const
    const results = await sender.post(Array.from({ length: count }, () => message({ to, sealed, receipts: false })))
    const refused = results.find(({ status }) => status !== 201)
    if (refused !== undefined) throw new Error(`the broker answered ${JSON.stringify(refused)}`)
  }
  return (messages * 1000) / (performance.now() - started)
}

/** From the first delivery to the last: what a handshake costs is not part of it. @returns messages a second */
async function drain(messages: number): Promise<number> {
  const member = await RawMember.connect(url, recipient)
  const rate = await new Promise<number>((resolve) => {
    let received = 0
    let started = 0
    const take = (data: unknown) => {
      const { type, items } = JSON.parse(String(data)) as { type: string; items: { delivery_id: string }[] }
      if (type !== 'deliver') return
      if (received === 0) started = performance.now()
      received += items.length
      member.acknowledge(items)
      if (received >= messages) resolve((received * 1000) / (performance.now() - started))
    }
    // What came with the welcome is taken first; from then on nothing is kept.
    const early = member.pending('deliver')
    member.socket.removeAllListeners('message')
    member.socket.on('message', take)
    for (const frame of early) take(JSON.stringify(frame))
  })
  await new Promise((resolve) => {
    member.socket.once('close', resolve)
    member.socket.close()
  })
  return rate
}
