/** Peers that offer and ask for far more than they take: the broker's memory has a bound, whatever they do. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { residentBytes } from '../support/process-figures.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const mebibyte = 1024 * 1024
/** What one connection may hold: 8 MiB coming in, 16 MiB going out. */
const heldPerPeer = 24 * mebibyte
const peers = 6

test('memory stays within the windows of the connections under peers that flood and never read', async () => {
  const { broker, url } = await startBroker()
  const mesh = new RawMesh()
  const founder = await RawMember.connect(url, mesh.founder)
  // Something large to ask for, again and again.
  const to = { kind: 'dm', ref: mesh.founder.memberId } as const
  for (let n = 0; n < 4; n += 1) {
    await founder.post(Array.from({ length: 10 }, () => message({ to, sealed: randomBytes(60_000) })))
  }
  const atRest = residentBytes(broker.pid)

  const flooders = await Promise.all(
    Array.from({ length: peers }, (_, n) => RawMember.connect(url, mesh.join(`flooder${n}`))),
  )
  const asker = await RawMember.connect(url, mesh.join('asker'))
  let offered = 0
  for (const flooder of flooders) {
    flooder.socket.pause()
    for (let n = 0; n < 60; n += 1) {
      const items = Array.from({ length: 10 }, () => message({ to, sealed: randomBytes(60_000) }))
      flooder.send({ type: 'send', items })
      offered += 10 * 60_000
    }
    for (let n = 0; n < 200; n += 1) {
      flooder.send({ type: 'request', request_id: `m${n}`, op: 'members.list', params: { limit: 256 } })
    }
  }
  founder.socket.pause()
  for (let n = 0; n < 500; n += 1) {
    founder.send({ type: 'request', request_id: `h${n}`, op: 'history.page', params: { since: 0, limit: 256 } })
    offered += 700_000
  }

  // The others are served all the while.
  let highest = 0
  for (let n = 0; n < 200; n += 1) {
    await asker.settled()
    highest = Math.max(highest, residentBytes(broker.pid))
  }
  const grown = highest - atRest
  console.log(
    `flood: ${peers + 1} peers offered or asked for ${Math.round(offered / mebibyte)} MiB; ` +
      `resident ${Math.round(atRest / mebibyte)} MiB at rest, ${Math.round(highest / mebibyte)} MiB at most`,
  )
  // What is freed is not given back at once: twice the windows.
  expect(grown).toBeLessThan(2 * heldPerPeer * (peers + 1))
  expect(broker.ending).toBeNull()
}, 120_000)

async function startBroker() {
  const data = join(scratchDirectory(), 'broker')
  const broker = new ManagedProcess(['broker', 'start', '--data', data, '--port', '0'], {})
  onTestFinished(async () => {
    await broker.kill()
  })
  const url = await eventually('the broker listens', () => {
    if (broker.ending !== null) throw new Error(`the broker ended: ${broker.output}`)
    return /broker listening on (\S+)\n/.exec(broker.output)?.[1]
  })
  return { broker, url }
}
