/** A sender and many members of one topic, who acknowledge what they get and look at little of it. */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { message, RawMember } from '../../test/support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../../test/support/raw-mesh.ts'
import type { FanOutJob, FanOutResult } from '../load.ts'

const [url = '', members = ''] = process.argv.slice(2)
const topic = 'news'
const mesh = new RawMesh()
const sender = await RawMember.connect(url, mesh.join('sender'))
/** Called for each message that a member gets. */
let got: () => void = () => undefined
const identities = Array.from({ length: Number(members) }, (_, n) => mesh.join(`member-${n}`))
const memberIds = identities.map(({ memberId }) => memberId)
// Whoever is there is told of everybody who is new: they are all there only when nobody is.
await inParts(joinTopic)
await inParts(listen)
const sealed = randomBytes(1_700)

process.on('message', async ({ one }: FanOutJob) => {
  const started = performance.now()
  const all = new Promise<void>((resolve) => {
    let missing = memberIds.length
    got = () => {
      missing -= 1
      if (missing === 0) resolve()
    }
  })
  if (one === 'to all') await send({ kind: 'topic', ref: topic })
  else for (const ref of memberIds) await send({ kind: 'dm', ref })
  await all
  const elapsedMs = performance.now() - started
  // The acknowledgements are committed before anything else is measured: the sender hears of each.
  await takeReceipts(memberIds.length)
  const result: FanOutResult = { perSecond: (memberIds.length * 1000) / elapsedMs }
  process.send?.(result)
})
process.send?.('connected')

/** Few enough at once for a broker to let all of them in. */
async function inParts(run: (identity: MemberIdentity) => Promise<void>): Promise<void> {
  for (let from = 0; from < identities.length; from += 32) {
    await Promise.all(identities.slice(from, from + 32).map(run))
  }
}

async function joinTopic(identity: MemberIdentity): Promise<void> {
  const member = await RawMember.connect(url, identity)
  await member.request('topics.subscribe', { topic })
  await member.close()
}

async function listen(identity: MemberIdentity): Promise<void> {
  const member = await RawMember.connect(url, identity)
  member.socket.removeAllListeners('message')
  member.socket.on('message', (data) => {
    const { type, items } = JSON.parse(String(data)) as { type: string; items: { delivery_id: string }[] }
    if (type !== 'deliver') return
    member.acknowledge(items)
    for (const _ of items) got()
  })
}

async function send(to: Parameters<typeof message>[0]['to']): Promise<void> {
  const { status } = await sender.postOne(message({ to, sealed }))
  if (status !== 201) throw new Error(`the broker answered ${status}`)
}

/** Takes what comes back for so many deliveries, and acknowledges it. */
async function takeReceipts(count: number): Promise<void> {
  for (let taken = 0; taken < count; ) {
    const { items } = await sender.next('receipts', () => true, 60_000)
    taken += items.length
    sender.acknowledge(items)
  }
}
