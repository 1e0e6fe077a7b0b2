/** Each verb of `claudemesh artifact` over a real daemon: what it does, its JSON, and how it fails. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeManifest, manifestDigest } from '@claudemesh/artifacts'
import { daemonPaths } from '@claudemesh/protocol'
import type {
  ArtifactCollection,
  ArtifactEvent,
  ArtifactStats,
  FileList,
  IngestedArtifactFile,
  PackageList,
  ReplayedLog,
  ShownPackage,
} from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)

beforeAll(() => {
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const { pid } = line.json<{ pid: number }>(['daemon', 'start'])
  return () => killIfThere(pid)
}, 60_000)

function artifact<Answer>(...args: readonly string[]): Answer {
  return line.json<Answer>(['artifact', ...args])
}

/** What people see. */
function shown(...args: readonly string[]): string {
  const { status, stdout, stderr } = line.run(['artifact', ...args])
  if (status !== 0) throw new Error(`claudemesh artifact ${args.join(' ')} ended with ${status}: ${stderr}`)
  return stdout
}

function create(name = 'report', ...options: readonly string[]): string {
  return artifact<ShownPackage>('create', name, ...options).package_id
}

function add(packageId: string, path: string, content: string | Uint8Array, ...options: readonly string[]) {
  const args = ['artifact', 'add', packageId, '-', '--as', path, ...options]
  const { files } = line.json<{ files: IngestedArtifactFile[] }>(args, { input: content })
  const [file] = files
  if (file === undefined) throw new Error('one file was added')
  return file
}

function finalized(content = 'content'): string {
  const id = create()
  add(id, 'file.txt', content)
  artifact('finalize', id)
  return id
}

describe('create', () => {
  test('makes a package of what it was told', () => {
    const options = ['--producer', 'ci', '--subject', 's', '--class', 'transient', '--type', 'application/x-report']
    const more = ['--paths', 'posix', '--meta', 'build=4711', '--annotation', 'a=b', '--commit', 'abc', '--run', '7']
    expect(artifact('create', 'nightly', ...options, ...more, '--repository', 'r')).toMatchObject({
      name: 'nightly',
      producer: 'ci',
      subject: 's',
      status: 'created',
      retention_class: 'transient',
      artifact_type: 'application/x-report',
      path_policy: 'posix',
      metadata: { build: '4711' },
      annotations: { a: 'b' },
      provenance: { tool: 'claudemesh', commit: 'abc', run_id: '7', repository: 'r' },
      file_count: 0,
      retention: { hold_id: null },
    })
  })

  test('shows it to people, with its id first', () => {
    expect(shown('create', 'report')).toMatch(/^package +[0-9A-Z]{26}\nname +report\nstatus +created\n/)
  })

  test('with the same --id makes it once, and refuses another one under that id', () => {
    expect(create('one', '--id', 'key-1')).toBe(create('one', '--id', 'key-1'))
    expect(line.problem(['artifact', 'create', 'two', '--id', 'key-1'])).toMatchObject({
      code: 'idempotency_key_reused',
      exitCode: 65,
    })
  })
})

describe('add', () => {
  test('takes files by their names, and stdin with --as', () => {
    const directory = scratchDirectory()
    for (const name of ['a.txt', 'b.txt']) writeFileSync(join(directory, name), name)
    const id = create()
    const added = artifact<{ files: IngestedArtifactFile[] }>(
      'add',
      id,
      join(directory, 'a.txt'),
      join(directory, 'b.txt'),
    )
    expect(added.files.map(({ relative_path, size_bytes }) => [relative_path, size_bytes])).toEqual([
      ['a.txt', 5],
      ['b.txt', 5],
    ])
    const file = add(id, 'deep/er/c.json', '{}', '--media-type', 'application/json')
    expect(file).toMatchObject({
      relative_path: 'deep/er/c.json',
      size_bytes: 2,
      sha256: '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
      deduplicated: false,
      replaced_file_id: null,
    })
    const { files } = artifact<FileList>('files', id)
    expect(files.map(({ relative_path, media_type }) => [relative_path, media_type])).toEqual([
      ['a.txt', 'application/octet-stream'],
      ['b.txt', 'application/octet-stream'],
      ['deep/er/c.json', 'application/json'],
    ])
    expect(shown('files', id)).toMatch(/^FILE +SIZE +TYPE +PATH\n/)
  })

  test('of a path that is there needs --replace', () => {
    const id = create()
    const first = add(id, 'a', '1')
    const again = ['artifact', 'add', id, '-', '--as', 'a']
    expect(line.problem(again, { input: '2' })).toMatchObject({ code: 'duplicate_path', exitCode: 65 })
    expect(add(id, 'a', '2', '--replace').replaced_file_id).toBe(first.file_id)
    expect(shown('get', `${id}/a`)).toBe('2')
  })

  test('ends at the first file that cannot be added, and says which are in', () => {
    const directory = scratchDirectory()
    writeFileSync(join(directory, 'a'), '')
    const id = create()
    const paths = [join(directory, 'a'), join(directory, 'a'), join(directory, 'a')]
    const problem = line.problem(['artifact', 'add', id, ...paths])
    expect(problem).toMatchObject({ code: 'duplicate_path', exitCode: 65, file: paths[1], added: ['a'] })
  })

  test.each(['../a', '/a', 'a/../../b', 'a//b', 'CON', 'a?'])('refuses the path %s', (path) => {
    const id = create()
    const refused = line.problem(['artifact', 'add', id, '-', '--as', path], { input: '1' })
    expect(refused).toMatchObject({ code: 'invalid_path', exitCode: 65 })
    expect(artifact<FileList>('files', id).files).toEqual([])
  })
})

test('a path that only looks encoded is taken as it is written', () => {
  const id = create()
  add(id, '..%2fa', '1')
  expect(shown('get', `${id}/..%2fa`)).toBe('1')
})

describe('a package', () => {
  test('is finalized once, and again with the same manifest', () => {
    const id = create()
    add(id, 'a', '1')
    const first = artifact<{ manifest_digest: string; is_new: boolean }>('finalize', id, '--verify', 'full')
    expect(first).toMatchObject({ package_id: id, is_new: true })
    expect(artifact('finalize', id)).toEqual({ ...first, is_new: false })
    expect(shown('finalize', id)).toBe(`${first.manifest_digest}\n`)
    expect(artifact('show', id)).toMatchObject({ status: 'finalized', manifest_digest: first.manifest_digest })
    expect(line.problem(['artifact', 'add', id, '-', '--as', 'b'], { input: '' })).toMatchObject({
      code: 'package_not_open',
      exitCode: 65,
    })
  })

  test('without files is finalized only with --allow-empty', () => {
    const id = create()
    expect(line.problem(['artifact', 'finalize', id])).toMatchObject({ code: 'package_empty', exitCode: 65 })
    expect(artifact('finalize', id, '--allow-empty')).toMatchObject({ is_new: true })
  })

  test('is aborted with a reason that the log keeps', () => {
    const id = create()
    expect(artifact('abort', id, '--reason', 'the build failed')).toMatchObject({ package_id: id, status: 'aborted' })
    expect(eventsOf(id).at(-1)).toMatchObject({
      event_type: 'v1.package.aborted',
      payload: { reason: 'the build failed' },
    })
  })

  test('loses a file by rm, by its path and by its id', () => {
    const id = create()
    add(id, 'a', '1')
    const { file_id } = add(id, 'b', '2')
    expect(artifact('rm', `${id}/a`, '--reason', 'superseded')).toMatchObject({ relative_path: 'a', state: 'removed' })
    expect(artifact('rm', file_id)).toMatchObject({ relative_path: 'b' })
    expect(artifact<FileList>('files', id).files).toEqual([])
  })

  test('is found by what it is about, page by page', () => {
    const ids = ['one', 'two', 'three'].map((name) => create(name, '--subject', 'paging', '--meta', `n=${name}`))
    const first = artifact<PackageList>('list', '--subject', 'paging', '--limit', '2')
    expect(first.packages.map(({ package_id }) => package_id)).toEqual(ids.slice(0, 2))
    const rest = artifact<PackageList>('list', '--subject', 'paging', '--after', first.next ?? '')
    expect(rest).toMatchObject({ packages: [{ package_id: ids[2] }], next: null })
    expect(artifact('list', '--meta', 'n=two')).toMatchObject({ packages: [{ package_id: ids[1] }] })
    expect(artifact('list', '--subject', 'paging', '--status', 'finalized')).toMatchObject({ packages: [] })
    expect(shown('list', '--subject', 'paging')).toMatch(/^PACKAGE +STATUS +FILES/)
    expect(shown('list', '--producer', 'nobody')).toBe('no packages\n')
    const { next } = artifact<FileList>('files', finalized(), '--limit', '1')
    expect(next).toBe(null)
  })

  test('has a manifest, as JSON and as the bytes that its digest is of', () => {
    const id = finalized()
    const { manifest_digest } = artifact<ShownPackage>('show', id)
    const cbor = line.runBytes(['artifact', 'manifest', id, '--cbor'])
    expect(manifestDigest(decodeManifest(cbor))).toBe(manifest_digest)
    const json = shown('manifest', id)
    expect(shown('manifest', id, '--json')).toBe(json)
    expect(JSON.parse(json)).toMatchObject({ manifest_version: 1, package: { package_id: id } })
  })
})

function eventsOf(packageId: string): readonly ArtifactEvent[] {
  return line
    .run(['artifact', 'events', '--json'])
    .stdout.trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as ArtifactEvent)
    .filter(({ subject_id, payload }) => subject_id === packageId || payload['package_id'] === packageId)
}

describe('the log', () => {
  test('is printed whole, and after an event', () => {
    const id = finalized()
    const events = eventsOf(id)
    expect(events.map(({ event_type }) => event_type)).toEqual([
      'v1.package.created',
      'v1.retention.default_applied',
      'v1.file.ingested',
      'v1.package.finalized',
    ])
    const last = events.at(-1)?.sequence ?? 0
    const after = line.run(['artifact', 'events', '--since', String(last - 1), '--json']).stdout
    expect(JSON.parse(after.split('\n')[0] ?? '')).toMatchObject({ sequence: last })
    expect(shown('events', '--since', String(last - 2))).toMatch(/v1\.file\.ingested .*relative_path=file\.txt/)
  })

  test('is followed, from an event on and across a restart of the daemon', async () => {
    const id = create()
    const since = eventsOf(id).at(-1)?.sequence ?? 0
    const following = line.follow(['artifact', 'events', '--since', String(since), '--follow'])
    add(id, 'a', '1')
    await eventually('the file is told', () => following.items.length === 1)
    line.json(['daemon', 'restart'])
    add(id, 'b', '2')
    await eventually('the next one is too', () => following.items.length === 2)
    expect(following.items.map(({ sequence }) => sequence)).toEqual([since + 1, since + 2])
    expect(following.notes).toContain('waiting for the daemon')
  })

  test('is replayed, and up to an event apart from what is there', () => {
    finalized()
    const all = artifact<ReplayedLog>('replay')
    expect(all).toMatchObject({
      applied: all.last_sequence,
      unknown: 0,
      chain_digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(artifact('replay', '--up-to', '2')).toMatchObject({ applied: 2, last_sequence: 2 })
    expect(shown('replay')).toMatch(/^\d+ events replayed up to \d+\nchain [0-9a-f]{64}\n$/)
  })
})

describe('keeping', () => {
  test('is extended by a duration beyond the present expiry, and until a date, and never made shorter', () => {
    const id = finalized()
    const { retention } = artifact<ShownPackage>('show', id)
    const extended = artifact<ShownPackage['retention']>('retention', 'extend', id, '--by', '10d', '--reason', 'audit')
    expect(extended.expires_at).toBe((retention.expires_at ?? 0) + 10 * 86_400_000)
    const until = artifact<ShownPackage['retention']>(
      'retention',
      'extend',
      id,
      '--until',
      '2040-01-01T00:00Z',
      '--reason',
      'x',
    )
    expect(until.expires_at).toBe(Date.UTC(2040, 0, 1))
    const shorter = ['artifact', 'retention', 'extend', id, '--until', '2030-01-01', '--reason', 'x']
    expect(line.problem(shorter)).toMatchObject({ code: 'retention_not_later', exitCode: 65 })
    const forever = create('x', '--class', 'permanent-record')
    const longer = ['artifact', 'retention', 'extend', forever, '--by', '1d', '--reason', 'x']
    expect(line.problem(longer)).toMatchObject({ code: 'retention_not_later', exitCode: 65 })
  })

  test('until further notice is a hold, one at a time', () => {
    const id = finalized()
    const hold = shown('hold', id, '--reason', 'incident 42').trim()
    expect(artifact('show', id)).toMatchObject({ retention: { hold_id: hold, hold_reason: 'incident 42' } })
    expect(line.problem(['artifact', 'hold', id, '--reason', 'x'])).toMatchObject({ code: 'hold_active', exitCode: 65 })
    expect(artifact('release', hold, '--reason', 'closed')).toEqual({ hold_id: hold, released: true })
    const again = line.problem(['artifact', 'release', hold, '--reason', 'closed'])
    expect(again).toMatchObject({ code: 'hold_unknown', exitCode: 66 })
  })

  test('ends with a sweep, which marks nothing that is not due', () => {
    expect(artifact('sweep')).toEqual({ marked: [] })
    expect(shown('sweep')).toBe('0 packages marked\n')
  })
})

describe('looking after the store', () => {
  test('health and stats say how it is and how much there is', () => {
    expect(artifact('health')).toMatchObject({ status: 'ok', backends: [{ backend_id: 'local', healthy: true }] })
    const before = artifact<ArtifactStats>('stats')
    finalized('the same twice')
    finalized('the same twice')
    const after = artifact<ArtifactStats>('stats')
    expect(after.files - before.files).toBe(2)
    expect(after.objects - before.objects).toBe(1)
    expect(shown('stats')).toMatch(/^packages +\d+\n/)
  })

  test('gc says what would go, and a fresh object stays', () => {
    const id = create()
    add(id, 'a', 'of an aborted package')
    artifact('abort', id)
    expect(artifact<ArtifactCollection>('gc', '--dry-run').packages).toEqual(expect.arrayContaining([id]))
    expect(artifact('show', id)).toMatchObject({ status: 'aborted' })
    expect(artifact('gc')).toMatchObject({ dry_run: false, packages: expect.arrayContaining([id]) })
    expect(artifact('show', id)).toMatchObject({ status: 'garbage_collected' })
    expect(shown('gc')).toMatch(/were deleted\n$/)
  })

  test('verify and scrub exit with 74 when bytes are gone or are others', () => {
    const id = create()
    const { content_address, file_id } = add(id, 'a', 'bytes that will be others')
    expect(artifact('verify', id)).toMatchObject({ locations: [{ file_id, outcome: 'verified' }] })
    expect(artifact('verify', file_id)).toMatchObject({ locations: [{ file_id }] })
    const path = objectPath(content_address)
    const before = readFileSync(path)
    writeFileSync(path, before.toString().toUpperCase())
    const verified = line.run(['artifact', 'verify', `${id}/a`, '--json'])
    expect([verified.status, JSON.parse(verified.stdout)]).toMatchObject([74, { locations: [{ outcome: 'corrupt' }] }])
    writeFileSync(path, before)
    expect(shown('verify', id)).toBe('1 of 1 are right\n')
    writeFileSync(path, before.toString().toUpperCase())
    expect(line.run(['artifact', 'scrub']).status).toBe(74)
    writeFileSync(path, before)
    expect(artifact('scrub')).toMatchObject({ changed: [expect.objectContaining({ outcome: 'verified' })] })
    expect(artifact('scrub', '--objects', '1', '--rate', '1000000')).toMatchObject({ objects: 1, changed: [] })
  })
})

function objectPath(address: string): string {
  const [algorithm = '', hex = ''] = address.split(':')
  return join(daemonPaths(line.home, 'home').artifactsObjects, algorithm, hex.slice(0, 2), hex.slice(2, 4), hex)
}

const nobody = '01JD8ZC6W0000000000000000A'

describe('what is not there exits with 66, and what is asked wrongly with 64 or 65', () => {
  const cases: readonly (readonly [args: readonly string[], code: string, exitCode: number])[] = [
    [['show', nobody], 'package_not_found', 66],
    [['files', nobody], 'package_not_found', 66],
    [['finalize', nobody], 'package_not_found', 66],
    [['manifest', nobody], 'package_not_found', 66],
    [['abort', nobody], 'package_not_found', 66],
    [['pull', nobody, '/nonexistent/x'], 'package_not_found', 66],
    [['get', nobody], 'file_not_found', 66],
    [['get', `${nobody}/a`], 'package_not_found', 66],
    [['get', `blake3:${'0'.repeat(64)}`], 'file_not_found', 66],
    [['verify', nobody], 'file_not_found', 66],
    [['rm', nobody], 'file_not_found', 66],
    [['release', nobody, '--reason', 'x'], 'hold_unknown', 66],
    [['get', 'blake3:00'], 'invalid_content_address', 65],
    [['show', 'x'], 'invalid_request', 65],
    [['create', 'x', '--type', 'NoType'], 'invalid_request', 65],
    [['create', 'x', '--annotation', 'io.claudemesh.x=1'], 'annotation_reserved', 65],
    [['create', 'x', '--class', 'eternal'], 'invalid_usage', 64],
    [['create', 'x', '--meta', 'a=1', '--meta', 'a=2'], 'invalid_usage', 64],
    [['add', nobody, '-'], 'invalid_usage', 64],
    [['add', nobody, 'a', 'b', '--as', 'c'], 'invalid_usage', 64],
    [['get', 'no reference'], 'invalid_usage', 64],
    [['rm', `blake3:${'0'.repeat(64)}`], 'invalid_usage', 64],
    [['hold', nobody], 'invalid_usage', 64],
    [['release', nobody], 'invalid_usage', 64],
    [['retention', 'extend', nobody, '--reason', 'x'], 'invalid_usage', 64],
    [['retention', 'extend', nobody, '--by', 'long', '--reason', 'x'], 'invalid_usage', 64],
    [['retention', 'extend', nobody, '--until', '2h', '--reason', 'x'], 'invalid_usage', 64],
    [['manifest', nobody, '--cbor'], 'invalid_usage', 64],
    [['list', '--status', 'open'], 'invalid_usage', 64],
    [['replay', '--up-to', '-1'], 'invalid_usage', 64],
  ]
  test.each(cases)('artifact %j is %s', (args, code, exitCode) => {
    expect(line.problem(['artifact', ...args])).toMatchObject({ code, exitCode })
  })

  test('artifact manifest of an open package is not_finalized', () => {
    const refused = line.problem(['artifact', 'manifest', create()])
    expect(refused).toMatchObject({ code: 'not_finalized', exitCode: 65 })
    expect(refused.hint).toContain('`claudemesh artifact finalize')
  })
})

test('a store whose database cannot be had exits with 75', () => {
  const other = new CommandLine()
  other.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const env = { CLAUDEMESH_ARTIFACTS_DATABASE_URL: 'postgres://127.0.0.1:9/none' }
  const { pid } = other.json<{ pid: number }>(['daemon', 'start'], { env })
  try {
    const refused = other.problem(['artifact', 'list'])
    expect(refused).toMatchObject({ code: 'database_unavailable', exitCode: 75 })
  } finally {
    killIfThere(pid)
  }
})
