/**
 * Kills a broker at every step of a relayed blob's way, from the reservation to the end of its bytes, over either engine:
 * whoever uploads, downloads or acknowledges asks again, and in the end nothing of the blob is left anywhere.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { examineBroker } from '../../apps/broker/src/doctor.ts'
import { type Blob, randomBlob, requestBlob } from '../support/blobs.ts'
import { eventually } from '../support/eventually.ts'
import { findFreePort, TestBroker } from '../support/mesh.ts'
import { launchNode } from '../support/nodes.ts'
import { freshDatabase } from '../support/postgres.ts'
import { RawMember } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const steps = [
  'broker.blob.reserved',
  'broker.blob.begun',
  'artifacts.spool.created',
  'artifacts.spool.synced',
  'artifacts.spool.recorded',
  'broker.blob.complete',
  'artifacts.put.staged',
  'artifacts.put.sharded',
  'artifacts.put.renamed',
  'broker.blob.published',
  'broker.blob.stored',
  'broker.blob.acknowledged',
  'broker.blob.doomed',
  'artifacts.delete.unlinked',
  'broker.blob.object-deleted',
]

/** One broker that is started again and again over the same rows and the same directory. */
interface Killable {
  readonly blobs: string
  readonly database: Parameters<typeof examineBroker>[0]
  start(crashAt: string | null): Promise<{ readonly url: string; readonly killed: () => boolean }>
  stop(): Promise<void>
}

const engines: readonly { readonly name: string; readonly open: () => Promise<Killable> }[] = [
  { name: 'SQLite', open: openEmbedded },
  { name: 'PostgreSQL', open: openOnPostgres },
]

let kills = 0
afterAll(() => console.log(`steps of the relay: killed ${kills} times, on ${engines.length} engines`))

for (const { name, open } of engines) {
  describe(`a blob whose broker is killed (${name})`, () => {
    // The steps of the files are the same on either.
    for (const step of name === 'SQLite' ? steps : steps.filter((each) => each.startsWith('broker.'))) {
      test(`at ${step} arrives whole, and nothing of it is left after that`, async () => {
        const broker = await open()
        onTestFinished(() => broker.stop())
        const mesh = new RawMesh()
        const people = { alice: mesh.founder, bob: mesh.join('bob') }
        const blob = randomBlob(300_000)
        const way = new Way(blob, people)
        const dying = await broker.start(step)
        // It dies under some call, or by a job after the last.
        await way.go(dying.url).catch(() => undefined)
        await eventually(`the broker is killed at ${step}`, () => dying.killed())
        kills += 1
        const { url } = await broker.start(null)
        await way.go(url)
        expect(way.received?.equals(blob.bytes)).toBe(true)
        await eventually('no file is left', () => filesIn(broker.blobs).length === 0)
        await eventually('no row is left', async () => (await gaugeOf(url, 'cm_broker_blobs')) === 0)
        expect(await gaugeOf(url, 'cm_broker_blob_bytes_reserved')).toBe(0)
        expect((await examineBroker(broker.database)).findings).toEqual([])
      })
    }
  })
}

/** What a sender and a recipient do, each step until it is known to be done. */
class Way {
  readonly #blob: Blob
  readonly #people: { readonly alice: MemberIdentity; readonly bob: MemberIdentity }
  #stored = false
  received: Buffer | null = null

  constructor(blob: Blob, people: { readonly alice: MemberIdentity; readonly bob: MemberIdentity }) {
    this.#blob = blob
    this.#people = people
  }

  async go(url: string): Promise<void> {
    const httpUrl = url.replace(/^ws/, 'http').replace(/\/v1\/ws$/, '')
    const bob = await RawMember.connect(url, this.#people.bob)
    const alice = await RawMember.connect(url, this.#people.alice)
    if (!this.#stored) await this.#upload(httpUrl, alice)
    this.#stored = true
    this.received ??= await this.#download(httpUrl, bob)
    const { status } = await bob.call('blobs.acknowledge', { address: this.#blob.address })
    // The second time it has ended already.
    expect([200, 404]).toContain(status)
  }

  async #upload(httpUrl: string, alice: RawMember): Promise<void> {
    const { address, bytes } = this.#blob
    const recipients = [this.#people.bob.memberId]
    const asked = { address, size_bytes: bytes.length, recipients, expires_at: Date.now() + 3_600_000 }
    const { ticket, stored } = await alice.request('blobs.upload', asked)
    if (stored) return
    const head = await requestBlob(httpUrl, address, { method: 'HEAD', ticket })
    const offset = Number(head.headers.get('upload-offset'))
    const headers = { 'upload-offset': String(offset) }
    const answer = await requestBlob(httpUrl, address, {
      method: 'PATCH',
      ticket,
      headers,
      body: bytes.subarray(offset),
    })
    if (answer.status === 409 && answer.headers.get('upload-offset') === '0') return this.#upload(httpUrl, alice)
    expect([200, 201]).toContain(answer.status)
  }

  async #download(httpUrl: string, bob: RawMember): Promise<Buffer> {
    const { address, bytes } = this.#blob
    const { ticket } = await bob.request('blobs.download', { address, size_bytes: bytes.length })
    const answer = await requestBlob(httpUrl, address, { method: 'GET', ticket })
    expect(answer.status).toBe(200)
    return Buffer.from(await answer.arrayBuffer())
  }
}

async function openEmbedded(): Promise<Killable> {
  const data = join(scratchDirectory(), 'broker')
  const broker = new TestBroker(data, await findFreePort())
  return {
    blobs: join(data, 'blobs'),
    database: { data },
    async start(crashAt) {
      const env = { CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '50' }
      await broker.start({ env, ...(crashAt === null ? {} : { crashAt }) })
      const { running } = broker
      return { url: `${broker.url}/v1/ws`, killed: () => running.ending?.signal === 'SIGKILL' }
    },
    stop: () => broker.kill(),
  }
}

async function openOnPostgres(): Promise<Killable> {
  const databaseUrl = await freshDatabase()
  const blobs = join(scratchDirectory(), 'blobs')
  let stop = async (): Promise<unknown> => undefined
  return {
    blobs,
    database: { databaseUrl },
    async start(crashAt) {
      const env = { CLAUDEMESH_BROKER_BLOB_DIRECTORY: blobs, CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '50' }
      const settings = { ...env, CLAUDEMESH_BROKER_REGISTRATION: 'open' }
      const { process, url } = await launchNode({
        databaseUrl,
        env: { ...settings, ...(crashAt === null ? {} : { CLAUDEMESH_CRASH_AT: crashAt }) },
      })
      stop = () => process.kill()
      return { url, killed: () => process.ending?.signal === 'SIGKILL' }
    },
    stop: async () => void (await stop()),
  }
}

/** Bytes of blobs, whole or in part. */
function filesIn(directory: string): readonly string[] {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return paths.filter((path) => /^uploads\/|[0-9a-f]{64}$/.test(path))
}

async function gaugeOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', url.replace(/^ws/, 'http')))).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}
