/** A daemon that is killed while it takes files and seals packages: whoever asks again finds either all of it or nothing. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, statSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  ArtifactEventList,
  FileList,
  FinalizedPackage,
  IngestedArtifactFile,
  ShownPackage,
} from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { foundHomeAt } from '../support/home-files.ts'
import { findFreePort, meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'
import { followLog } from '../support/numbered-log.ts'
import { ArtifactsOf } from './daemon-client.ts'

describe('a daemon killed', { timeout: 60_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let artifacts: ArtifactsOf

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cm-'))
    mkdirSync(join(directory, 'alice'), { mode: 0o700 })
    foundHomeAt(join(directory, 'alice'), { slug: meshSlug })
    mesh = TestMesh.at(directory, ['alice'], { port: await findFreePort() })
    alice = mesh.member('alice')
    artifacts = new ArtifactsOf(() => alice.socket)
  }, 60_000)
  afterAll(() => mesh.end())

  const filesOf = async (id: string) => ((await artifacts.get(`/packages/${id}/files`)).json as FileList).files
  const lastEvent = async () => {
    const { events } = (await artifacts.get('/events?limit=1000')).json as ArtifactEventList
    return events.at(-1)?.sequence ?? 0
  }

  /** The log is whole, and what can be asked is what it says. */
  async function expectSound(id: string): Promise<void> {
    const before = (await artifacts.get(`/packages/${id}`)).json
    expect(await artifacts.refusal({ method: 'POST', path: '/maintenance/replay', headers: json, body: '{}' })).toBe(
      null,
    )
    expect((await artifacts.get(`/packages/${id}`)).json).toEqual(before)
    const { locations } = (await artifacts.post('/maintenance/verify', { package_id: id })).json as {
      locations: { outcome: string }[]
    }
    expect(new Set(locations.map(({ outcome }) => outcome))).toEqual(
      new Set(locations.length === 0 ? [] : ['verified']),
    )
  }
  const json = { 'content-type': 'application/json' }

  const steps = [
    'artifacts.put.staged',
    'artifacts.put.sharded',
    'artifacts.put.renamed',
    'artifacts.ingest.published',
    'artifacts.ingest.locked',
  ]
  test.each(steps)(
    'at %s while it takes a file has not taken it, and takes it when it is asked again',
    async (crashAt) => {
      await alice.start()
      const id = await artifacts.newPackage()
      await alice.start({ crashAt })
      const body = randomBytes(200_000)
      const key = { 'idempotency-key': `put ${crashAt}`.replaceAll(' ', '-') }
      await expect(artifacts.put(id, 'x', body, key)).rejects.toThrow()
      expect(await alice.running.ended).toMatchObject({ signal: 'SIGKILL' })
      await alice.start()
      expect(await filesOf(id)).toEqual([])
      const put = await artifacts.put(id, 'x', body, key)
      expect(put.status).toBe(201)
      const { file_id } = put.json as IngestedArtifactFile
      expect((await artifacts.get(`/files/${file_id}/download`)).bytes.equals(body)).toBe(true)
      await expectSound(id)
    },
  )

  test('in the middle of the body has kept nothing of it', async () => {
    await alice.start()
    const id = await artifacts.newPackage()
    const objects = alice.paths.artifactsObjects
    const outgoing = http.request({
      socketPath: alice.socket,
      method: 'PUT',
      path: `/v1/artifacts/packages/${id}/files/x`,
      headers: { 'content-length': '10000000' },
      agent: false,
    })
    const broken = new Promise((resolve) => outgoing.once('error', resolve))
    outgoing.write(randomBytes(4_000_000))
    await eventually('bytes are staged', () => stagedBytes(objects) > 1_000_000)
    await alice.kill()
    await broken
    await alice.start()
    expect((await artifacts.get('/health')).status).toBe(200)
    await eventually('nothing of it is staged any more', () => stagedBytes(objects) === 0)
    expect(await filesOf(id)).toEqual([])
    expect((await artifacts.put(id, 'x', 'whole')).status).toBe(201)
    await expectSound(id)
  })

  test('before its answer came through gives it to whoever asks again with the key', async () => {
    await alice.start()
    const id = await artifacts.newPackage()
    const reader = await followLog(alice.socket, `/v1/artifacts/events?since=${await lastEvent()}`)
    const key = { 'idempotency-key': 'lost-answer' }
    const body = randomBytes(100_000)
    // Whatever becomes of it: the answer is not looked at.
    artifacts.put(id, 'x', body, key).catch(() => undefined)
    await eventually('it is in the log', () => reader.ids().length === 1)
    await alice.kill()
    await alice.start()
    const [file] = await filesOf(id)
    const again = await artifacts.put(id, 'x', body, key)
    expect([again.status, again.json]).toMatchObject([201, { file_id: file?.file_id, deduplicated: false }])
    expect(await filesOf(id)).toHaveLength(1)
    await expectSound(id)
  })

  test('while it seals a package has either not sealed it, or for ever', async () => {
    await alice.start()
    const id = await artifacts.newPackage()
    await artifacts.file(id, 'x', 'bytes')
    await alice.start({ crashAt: 'artifacts.finalize.locked' })
    await expect(artifacts.post(`/packages/${id}/finalize`)).rejects.toThrow()
    await alice.start()
    expect((await artifacts.get(`/packages/${id}`)).json as ShownPackage).toMatchObject({ status: 'created' })

    const reader = await followLog(alice.socket, `/v1/artifacts/events?since=${await lastEvent()}`)
    artifacts.post(`/packages/${id}/finalize`).catch(() => undefined)
    await eventually('it is in the log', () => reader.ids().length === 1)
    await alice.kill()
    await alice.start()
    const { manifest_digest: digest } = (await artifacts.get(`/packages/${id}`)).json as ShownPackage
    const again = (await artifacts.post(`/packages/${id}/finalize`)).json as FinalizedPackage
    expect(again).toMatchObject({ is_new: false, manifest_digest: digest })
    await expectSound(id)
  })
})

function stagedBytes(objects: string): number {
  const staging = join(objects, '.tmp')
  if (!existsSync(staging)) return 0
  return readdirSync(staging, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('lock'))
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
