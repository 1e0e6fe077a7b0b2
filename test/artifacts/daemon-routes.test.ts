/** `/v1/artifacts/*` of a daemon: what the routes add to the store, over a real socket. */
import { createHash, randomBytes } from 'node:crypto'
import type {
  ArtifactEventList,
  FileList,
  FinalizedPackage,
  IngestedArtifactFile,
  PackageList,
  ShownPackage,
} from '@claudemesh/protocol/artifacts'
import { describe, expect, test } from 'vitest'
import {
  decodeCanonical,
  decodeManifest,
  digestBytes,
  encodeCanonical,
  manifestDigest,
} from '../../packages/artifacts/src/index.ts'
import { startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'
import { followLog } from '../support/numbered-log.ts'
import { ArtifactsOf } from './daemon-client.ts'

const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest()
const reprDigest = (bytes: string | Uint8Array) => `sha-256=:${sha256(bytes).toString('base64')}:`

async function artifactsOfDaemon(flags: Readonly<Record<string, string>> = {}) {
  const running = await startDaemon(foundHome(), { flags })
  return { running, artifacts: new ArtifactsOf(() => running.daemon.socket) }
}

test('a package is made, filled, sealed, and read back byte for byte', async () => {
  const { running, artifacts } = await artifactsOfDaemon()
  const made = await artifacts.post('/packages', {
    name: 'report',
    producer: 'ci',
    subject: 'build 7',
    retention_class: 'summary-evidence',
    metadata: { build: 7 },
    annotations: { color: 'green' },
    provenance: { run_id: 'r1', environment: { os: 'linux' } },
  })
  const { package_id: id } = made.json as ShownPackage
  expect([made.status, made.headers.location]).toEqual([201, `/v1/artifacts/packages/${id}`])
  expect(made.json).toMatchObject({ status: 'created', metadata: { build: 7 }, annotations: { color: 'green' } })

  const bytes = randomBytes(3 * 1024 * 1024)
  const put = await artifacts.put(id, 'logs/a%20b.bin', bytes, {
    'content-type': 'Text/Plain; charset=utf-8',
    'repr-digest': reprDigest(bytes),
  })
  const file = put.json as IngestedArtifactFile
  expect([put.status, put.headers.location]).toEqual([201, `/v1/artifacts/files/${file.file_id}`])
  expect(file).toMatchObject({
    relative_path: 'logs/a b.bin',
    sha256: sha256(bytes).toString('hex'),
    size_bytes: bytes.length,
    deduplicated: false,
    replaced_file_id: null,
  })
  expect((await artifacts.get(`/files/${file.file_id}`)).json).toMatchObject({
    media_type: 'text/plain',
    state: 'live',
  })
  expect((await artifacts.file(id, 'empty', '')).size_bytes).toBe(0)

  const sealed = await artifacts.post(`/packages/${id}/finalize`)
  const { manifest_digest: digest } = sealed.json as FinalizedPackage
  expect([sealed.status, (sealed.json as FinalizedPackage).is_new]).toEqual([200, true])
  expect((await artifacts.post(`/packages/${id}/finalize`)).json).toMatchObject({
    manifest_digest: digest,
    is_new: false,
  })

  const manifest = await artifacts.get(`/packages/${id}/manifest`)
  expect(manifest.headers).toMatchObject({
    'content-type': 'application/cbor',
    etag: `"${digest}"`,
    'cache-control': 'private, max-age=31536000, immutable',
  })
  const read = decodeManifest(manifest.bytes)
  expect(manifestDigest(read)).toBe(digest)
  expect(read.provenance).toMatchObject({ actor: expect.stringMatching(/^[0-9a-f]{64}$/), run_id: 'r1' })
  expect((await artifacts.get(`/packages/${id}/manifest`, { 'if-none-match': `"${digest}"` })).status).toBe(304)
  const json = await artifacts.get(`/packages/${id}/manifest.json`)
  expect(json.json).toMatchObject({ package: { package_id: id, file_count: 2 } })

  const whole = await artifacts.get(`/files/${file.file_id}/download`)
  expect(whole.bytes.equals(bytes)).toBe(true)
  expect((await artifacts.get(`/blobs/${file.content_address}`)).bytes.equals(bytes)).toBe(true)
  const shown = (await artifacts.get(`/packages/${id}`)).json as ShownPackage
  expect(shown).toMatchObject({ status: 'finalized', manifest_digest: digest, retention: { hold_id: null } })
  const { member_id } = (await running.get('/v1/health')).json as { member_id: string }
  const events = (await artifacts.get('/events?limit=1000')).json as ArtifactEventList
  expect(new Set(events.events.map(({ actor }) => actor))).toEqual(new Set([member_id]))
})

describe('putting a file', () => {
  test('takes more than the 1 MiB of other bodies, with or without a length', async () => {
    const { artifacts } = await artifactsOfDaemon()
    const id = await artifacts.newPackage()
    const bytes = randomBytes(5 * 1024 * 1024)
    expect((await artifacts.put(id, 'a', bytes, { 'transfer-encoding': 'chunked' })).status).toBe(201)
    const again = await artifacts.put(id, 'b', bytes, { 'content-length': String(bytes.length) })
    expect(again.json).toMatchObject({ deduplicated: true })
  })

  test('decodes its path once, and takes no way out of the package', async () => {
    const { artifacts } = await artifactsOfDaemon()
    const id = await artifacts.newPackage()
    const taken: [path: string, relativePath: string][] = [
      ['plain.txt', 'plain.txt'],
      ['a%2Fb', 'a/b'],
      ['%252e%252e/x', '%2e%2e/x'],
      ['%25', '%'],
      ['a+b', 'a+b'],
      ['caf%C3%A9', 'café'],
      ['cafe%CC%81s', 'cafés'],
      ['%23%26%3D%3B', '#&=;'],
    ]
    for (const [path, relativePath] of taken) {
      expect([path, (await artifacts.file(id, path, path)).relative_path]).toEqual([path, relativePath])
    }
    const refused = [
      '..',
      '../x',
      'x/../../y',
      '%2e%2e/x',
      '%2E%2E%2Fx',
      'x/%2e%2e/%2e%2e/y',
      '.%2e/x',
      '/etc/passwd',
      '%2Fetc%2Fpasswd',
      'C:%5Cx',
      'a%5Cb',
      'a%00b',
      'a%0Ab',
      'a//b',
      'a/',
      '',
      'x/./y',
      'aux.txt',
      'trailing.',
      'x%E2%80%AEy',
      `${'d/'.repeat(70)}x`,
      'n'.repeat(300),
    ]
    for (const path of refused) {
      const request = { method: 'PUT', path: `/packages/${id}/files/${path}`, body: 'x' }
      expect([path, await artifacts.refusal(request)]).toEqual([path, [400, 'invalid_path']])
    }
    for (const path of ['%', '%zz', '%ff', '%c0%ae%c0%ae/x', '%ed%a0%80']) {
      const request = { method: 'PUT', path: `/packages/${id}/files/${path}`, body: 'x' }
      expect([path, (await artifacts.refusal(request))?.[0]]).toEqual([path, 400])
    }
    const { files } = (await artifacts.get(`/packages/${id}/files`)).json as FileList
    expect(files.map(({ relative_path }) => relative_path).sort()).toEqual(taken.map(([, path]) => path).sort())
  })

  test('compares what was announced with what came, and stores nothing of what differs', async () => {
    const { artifacts } = await artifactsOfDaemon()
    const id = await artifacts.newPackage()
    const refused: [headers: Record<string, string>, status: number, code: string][] = [
      [{ 'repr-digest': reprDigest('other') }, 422, 'digest_mismatch'],
      [{ 'repr-digest': 'sha-256=:AAAA:' }, 400, 'invalid_request'],
      [{ 'repr-digest': sha256('x').toString('hex') }, 400, 'invalid_request'],
      [{ 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
      [{ 'content-range': 'bytes 0-0/2' }, 400, 'invalid_request'],
      [{ 'content-type': 'text' }, 415, 'unsupported_media_type'],
      [{ 'idempotency-key': 'two words' }, 400, 'invalid_client_message_id'],
    ]
    for (const [headers, ...expected] of refused) {
      const request = { method: 'PUT', path: `/packages/${id}/files/x`, headers, body: 'x' }
      expect([headers, await artifacts.refusal(request)]).toEqual([headers, expected])
    }
    expect(((await artifacts.get(`/packages/${id}/files`)).json as FileList).files).toEqual([])
    const other = `sha-512=:AAAA:, ${reprDigest('x')}`
    expect((await artifacts.put(id, 'x', 'x', { 'repr-digest': other })).status).toBe(201)
  })

  test('is answered as it was the first time when it is asked again with its key', async () => {
    const { artifacts } = await artifactsOfDaemon()
    const key = { 'idempotency-key': 'the-key' }
    const body = { name: 'p', producer: 'ci', retention_class: 'transient' }
    const [first, second] = [await artifacts.post('/packages', body, key), await artifacts.post('/packages', body, key)]
    expect(second.json).toEqual(first.json)
    const { package_id: id } = first.json as ShownPackage
    const put = () => artifacts.put(id, 'x', 'x', { 'idempotency-key': 'another' })
    expect((await put()).json).toEqual((await put()).json)
    const hold = () => artifacts.post(`/packages/${id}/retention/holds`, { reason: 'r' }, { 'idempotency-key': 'hold' })
    const [held, heldAgain] = [await hold(), await hold()]
    expect([heldAgain.status, heldAgain.json]).toEqual([201, held.json])
    const reused = await artifacts.put(id, 'x', 'y', { 'idempotency-key': 'another' })
    expect([reused.status, (reused.json as { code: string }).code]).toEqual([409, 'idempotency_key_reused'])
  })

  test('replaces where it is told to, and says what is there where it is not', async () => {
    const { artifacts } = await artifactsOfDaemon()
    const id = await artifacts.newPackage()
    const first = await artifacts.file(id, 'x', 'one')
    const duplicate = await artifacts.put(id, 'x', 'two')
    expect([duplicate.status, duplicate.json]).toMatchObject([409, { code: 'duplicate_path', file_id: first.file_id }])
    const replaced = await artifacts.put(id, 'x?replace=true', 'two')
    expect(replaced.json).toMatchObject({ replaced_file_id: first.file_id })
    const existing = { relative_path: 'y', content_address: first.content_address, media_type: 'text/plain' }
    expect((await artifacts.post(`/packages/${id}/files`, existing)).json).toMatchObject({ deduplicated: true })
    const unknown = { relative_path: 'z', content_address: `blake3:${'0'.repeat(64)}` }
    expect((await artifacts.post(`/packages/${id}/files`, unknown)).json).toMatchObject({ code: 'object_not_found' })
    const { file_id } = replaced.json as IngestedArtifactFile
    const removed = await artifacts.request({ method: 'DELETE', path: `/files/${file_id}?reason=wrong` })
    expect([removed.status, removed.json]).toMatchObject([200, { state: 'removed' }])
    expect(await artifacts.refusal({ method: 'DELETE', path: `/files/${file_id}` })).toEqual([404, 'file_not_found'])
  })
})

test('packages and files are listed by pages, and packages by what they are', async () => {
  const { artifacts } = await artifactsOfDaemon()
  const ids: string[] = []
  for (let n = 0; n < 5; n += 1) {
    ids.push(await artifacts.newPackage({ producer: n < 3 ? 'a' : 'b', metadata: { n, kind: 'x' } }))
  }
  const list = async (query: string) => (await artifacts.get(`/packages?${query}`)).json as PackageList
  const first = await list('limit=2')
  const second = await list(`limit=10&after=${first.next}`)
  expect([...first.packages, ...second.packages].map(({ package_id }) => package_id)).toEqual(ids)
  expect(second.next).toBe(null)
  expect((await list('producer=b')).packages).toHaveLength(2)
  expect((await list('meta.n=3&meta.kind=x')).packages.map(({ package_id }) => package_id)).toEqual([ids[3]])
  expect((await list('status=finalized')).packages).toEqual([])

  const [id = ''] = ids
  for (const path of ['c', 'a/1', 'b']) await artifacts.file(id, path, path)
  const page = (await artifacts.get(`/packages/${id}/files?limit=2`)).json as FileList
  expect(page.files.map(({ relative_path }) => relative_path)).toEqual(['a/1', 'b'])
  const rest = (await artifacts.get(`/packages/${id}/files?after=${page.next}`)).json as FileList
  expect(rest.files.map(({ relative_path }) => relative_path)).toEqual(['c'])
})

describe('reading bytes', () => {
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251))

  async function stored() {
    const { artifacts } = await artifactsOfDaemon()
    const id = await artifacts.newPackage()
    const put = await artifacts.put(id, 'd/%E2%82%AC%20rates%27.csv', bytes, { 'content-type': 'text/csv' })
    const file = put.json as IngestedArtifactFile
    return { artifacts, file, tag: `"${file.content_address}"` }
  }

  test('says everything that is known of them, also to HEAD', async () => {
    const { artifacts, file, tag } = await stored()
    for (const path of [`/files/${file.file_id}/download`, `/blobs/${file.content_address}`]) {
      const got = await artifacts.get(path)
      const headers = {
        etag: tag,
        'repr-digest': reprDigest(bytes),
        'accept-ranges': 'bytes',
        'content-length': '1000',
        'content-type': 'text/csv',
        'x-content-type-options': 'nosniff',
        'content-disposition': `attachment; filename="_ rates'.csv"; filename*=UTF-8''%E2%82%AC%20rates%27.csv`,
      }
      expect([got.status, got.headers]).toMatchObject([200, headers])
      expect(got.bytes.equals(bytes)).toBe(true)
      const head = await artifacts.request({ method: 'HEAD', path, headers: { range: 'bytes=0-1' } })
      expect([head.status, head.headers, head.bytes.length]).toMatchObject([200, headers, 0])
    }
  })

  test('gives the range that is asked for, of these bytes and no others', async () => {
    const { artifacts, file, tag } = await stored()
    const weak = `W/${tag}`
    const rows: [headers: Record<string, string>, status: number, range: [number, number] | null][] = [
      [{ range: 'bytes=0-0' }, 206, [0, 0]],
      [{ range: 'bytes=10-19' }, 206, [10, 19]],
      [{ range: 'bytes=990-' }, 206, [990, 999]],
      [{ range: 'bytes=990-5000' }, 206, [990, 999]],
      [{ range: 'bytes=-10' }, 206, [990, 999]],
      [{ range: 'bytes=-5000' }, 206, [0, 999]],
      [{ range: 'bytes=0-1,5-6' }, 200, null],
      [{ range: 'bytes=5-1' }, 200, null],
      [{ range: 'lines=1-2' }, 200, null],
      [{ range: 'bytes=0-9', 'if-range': tag }, 206, [0, 9]],
      [{ range: 'bytes=0-9', 'if-range': weak }, 200, null],
      [{ range: 'bytes=0-9', 'if-range': '"other"' }, 200, null],
      [{ range: 'bytes=0-9', 'if-range': new Date().toUTCString() }, 200, null],
      [{ range: 'bytes=0-9', 'if-none-match': '"other"' }, 206, [0, 9]],
    ]
    for (const [headers, status, range] of rows) {
      const got = await artifacts.get(`/files/${file.file_id}/download`, headers)
      const [start, end] = range ?? [0, 999]
      expect([headers, got.status]).toEqual([headers, status])
      expect(got.bytes.equals(bytes.subarray(start, end + 1))).toBe(true)
      expect(got.headers['content-range']).toBe(range === null ? undefined : `bytes ${start}-${end}/1000`)
      expect(got.headers['content-length']).toBe(String(end - start + 1))
    }
    for (const range of ['bytes=1000-', 'bytes=-0', 'bytes=5000-6000']) {
      const got = await artifacts.get(`/files/${file.file_id}/download`, { range })
      expect([got.status, got.headers['content-range'], (got.json as { code: string }).code]).toEqual([
        416,
        'bytes */1000',
        'range_not_satisfiable',
      ])
    }
  })

  test('is not repeated for who has them already', async () => {
    const { artifacts, file, tag } = await stored()
    const rows: [value: string, status: number][] = [
      [tag, 304],
      [`W/${tag}`, 304],
      [`"other", ${tag}`, 304],
      ['*', 304],
      ['"other"', 200],
      [file.content_address, 200],
    ]
    for (const [value, status] of rows) {
      const headers = { 'if-none-match': value, range: 'bytes=0-999' }
      for (const method of ['GET', 'HEAD']) {
        const got = await artifacts.request({ method, path: `/files/${file.file_id}/download`, headers })
        const expected = status === 200 && method === 'GET' ? 206 : status
        expect([method, value, got.status]).toEqual([method, value, expected])
        if (status === 304) expect([got.bytes.length, got.headers.etag]).toEqual([0, tag])
      }
    }
  })

  test('of what is not there is 404, and of what is no address 400', async () => {
    const { artifacts } = await stored()
    const nobody = '01JD0000000000000000000000'
    expect(await artifacts.refusal({ method: 'GET', path: `/files/${nobody}/download` })).toEqual([
      404,
      'file_not_found',
    ])
    const absent = await artifacts.refusal({ method: 'GET', path: `/blobs/blake3:${'0'.repeat(64)}` })
    expect(absent?.[0]).toBe(404)
    for (const address of ['blake3', `blake3:${'A'.repeat(64)}`, '..%2f..%2fetc%2fpasswd', `md5:${'0'.repeat(32)}`]) {
      const refused = await artifacts.refusal({ method: 'GET', path: `/blobs/${address}` })
      expect([address, refused]).toEqual([address, [400, 'invalid_content_address']])
    }
  })
})

test('keeping a package longer, holding it, and giving it up', async () => {
  const { artifacts } = await artifactsOfDaemon()
  const id = await artifacts.newPackage()
  const { retention } = (await artifacts.get(`/packages/${id}`)).json as ShownPackage
  const later = (retention.expires_at ?? 0) + 1000
  const extended = await artifacts.post(`/packages/${id}/retention/extensions`, { expires_at: later, reason: 'audit' })
  expect([extended.status, extended.json]).toMatchObject([200, { expires_at: later }])
  const again = await artifacts.post(`/packages/${id}/retention/extensions`, { expires_at: later, reason: 'audit' })
  expect(again.json).toMatchObject({ code: 'retention_not_later' })

  const held = await artifacts.post(`/packages/${id}/retention/holds`, { reason: 'legal' })
  const { hold_id: hold } = held.json as { hold_id: string }
  expect(held.status).toBe(201)
  const second = await artifacts.post(`/packages/${id}/retention/holds`, { reason: 'more' })
  expect([second.status, second.json]).toMatchObject([409, { code: 'hold_active', hold_id: hold }])
  expect(await artifacts.refusal({ method: 'DELETE', path: `/holds/${hold}` })).toEqual([400, 'reason_required'])
  expect((await artifacts.request({ method: 'DELETE', path: `/holds/${hold}?reason=over` })).status).toBe(204)
  expect(await artifacts.refusal({ method: 'DELETE', path: `/holds/${hold}?reason=over` })).toEqual([
    404,
    'hold_unknown',
  ])

  const aborted = await artifacts.post(`/packages/${id}/abort`, { reason: 'broken' })
  expect(aborted.json).toMatchObject({ status: 'aborted', retention: { expires_at: later } })
  const late = await artifacts.put(id, 'x', 'x')
  expect([late.status, late.json]).toMatchObject([409, { code: 'package_not_open', status: 409 }])
})

test('looking after the store by hand', async () => {
  const { artifacts } = await artifactsOfDaemon()
  const id = await artifacts.newPackage()
  const file = await artifacts.file(id, 'x', 'the bytes')
  const kept = await artifacts.newPackage()
  await artifacts.file(kept, 'y', 'other bytes')
  expect((await artifacts.get('/stats')).json).toMatchObject({ packages: 2, files: 2, objects: 2, logical_bytes: 20 })
  const verified = await artifacts.post('/maintenance/verify', { package_id: id })
  expect(verified.json).toMatchObject({ locations: [{ file_id: file.file_id, outcome: 'verified' }] })
  expect((await artifacts.post('/maintenance/verify', {})).status).toBe(400)
  expect((await artifacts.post('/maintenance/verify', { package_id: id, file_id: file.file_id })).status).toBe(400)
  expect((await artifacts.post('/maintenance/scrub', {})).json).toEqual({ objects: 2, bytes: 20, changed: [] })
  expect((await artifacts.post('/maintenance/sweep')).json).toEqual({ marked: [] })

  await artifacts.post(`/packages/${id}/abort`)
  const expected = {
    packages: [id],
    objects: [{ backend_id: 'local', content_address: file.content_address, size_bytes: 9 }],
  }
  expect((await artifacts.post('/maintenance/gc', { dry_run: true })).json).toEqual(expected)
  expect((await artifacts.post('/maintenance/gc', {})).json).toEqual(expected)
  expect((await artifacts.get(`/packages/${id}`)).json).toMatchObject({ status: 'garbage_collected' })
  const replayed = await artifacts.post('/maintenance/replay', {})
  const { events } = (await artifacts.get('/events?limit=1000')).json as ArtifactEventList
  expect(replayed.json).toMatchObject({ applied: events.length, unknown: 0, last_sequence: events.length })
  expect((await artifacts.post('/maintenance/replay', { up_to: 2 })).json).toMatchObject({ applied: 2 })
})

test('the log comes as JSON and as CBOR, and the payload in both is the one that its digest is of', async () => {
  const { artifacts } = await artifactsOfDaemon()
  const id = await artifacts.newPackage({ metadata: { z: 1, a: 'é' } })
  const { events } = (await artifacts.get('/events?since=0&limit=10')).json as ArtifactEventList
  expect(events.map(({ sequence, event_type }) => [sequence, event_type])).toEqual([
    [1, 'v1.package.created'],
    [2, 'v1.retention.default_applied'],
  ])
  expect(events[0]).toMatchObject({ subject_id: id, payload: { package_id: id, metadata: { z: 1, a: 'é' } } })
  const cbor = await artifacts.get('/events?since=1', { accept: 'application/cbor-seq' })
  expect(cbor.headers['content-type']).toBe('application/cbor-seq')
  const event = decodeCanonical(cbor.bytes) as Record<string, unknown>
  expect(event).toEqual(events[1])
  expect(Buffer.from(encodeCanonical(event as never)).equals(cbor.bytes)).toBe(true)
  const payload = encodeCanonical(event['payload'] as never)
  expect(digestBytes(payload).primary.hex).toBe(event['payload_digest'])
  expect(((await artifacts.get('/events?since=2&limit=1')).json as ArtifactEventList).events).toEqual([])
  expect(await artifacts.refusal({ method: 'GET', path: '/events', headers: { 'last-event-id': 'x' } })).toEqual([
    400,
    'invalid_cursor',
  ])
})

test('the log is followed from where the reader was, once and in order', async () => {
  const { running, artifacts } = await artifactsOfDaemon()
  await artifacts.newPackage()
  const all = await followLog(running.daemon.socket, '/v1/artifacts/events')
  await eventually('what was there', () => all.ids().length === 2)
  await artifacts.newPackage()
  await eventually('what came', () => all.ids().length === 4)
  const rest = await followLog(running.daemon.socket, '/v1/artifacts/events?since=1', { 'last-event-id': '3' })
  await eventually('what is behind the last one seen', () => rest.ids().length === 1)
  expect([all.ids(), rest.ids()]).toEqual([[1, 2, 3, 4], [4]])
  const { events } = (await artifacts.get('/events?limit=10')).json as ArtifactEventList
  expect(all.data()).toEqual(events)
  await running.close()
  await eventually('the stream ends with the daemon', () => all.hasEnded())
})

test('as many follow the log as may, and a further one is told so', async () => {
  const { running, artifacts } = await artifactsOfDaemon({ 'artifacts.limits.tails_max': '2' })
  await artifacts.newPackage()
  const readers = [
    await followLog(running.daemon.socket, '/v1/artifacts/events'),
    await followLog(running.daemon.socket, '/v1/artifacts/events'),
  ]
  for (const reader of readers) await eventually('it follows', () => reader.ids().length === 2)
  expect(await artifacts.refusal({ method: 'GET', path: '/events' })).toEqual([429, 'too_many_requests'])
  readers[0]?.leave()
  await eventually('there is room again', async () => {
    const next = await followLog(running.daemon.socket, '/v1/artifacts/events').catch(() => null)
    return next !== null
  })
})
