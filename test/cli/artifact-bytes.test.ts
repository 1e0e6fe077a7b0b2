/** Bytes through the command line: directories in and out again, pipes, interruptions, and stores and daemons that lie. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { decodeCanonical, digestBytes, encodeCanonical, type Manifest } from '@claudemesh/artifacts'
import { daemonPaths, homePaths, meshFilePath } from '@claudemesh/protocol'
import type { ArtifactEvent, FileList, PackageList, ShownPackage } from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { expectSameFiles } from '../artifacts/directory-contents.ts'
import { ScriptedDaemon } from '../client/scripted-daemon.ts'
import { eventually } from '../support/eventually.ts'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { residentBytes } from '../support/process-figures.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)

beforeAll(() => {
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const { pid } = line.json<{ pid: number }>(['daemon', 'start'])
  return () => killIfThere(pid)
}, 60_000)

interface Pushed {
  readonly package_id: string
  readonly files: number
  readonly sent: number
  readonly reused: number
  readonly unchanged: number
  readonly removed: number
  readonly skipped: readonly string[]
  readonly manifest_digest: string | null
}

function push(directory: string, ...options: readonly string[]): Pushed {
  return line.json<Pushed>(['artifact', 'push', directory, ...options])
}

function makeTree(contents: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = scratchDirectory()
  for (const [path, bytes] of Object.entries(contents)) {
    mkdirSync(join(directory, dirname(path)), { recursive: true })
    writeFileSync(join(directory, path), bytes)
  }
  return directory
}

/** A place for what does not exist yet. */
function newPlace(): string {
  return join(scratchDirectory(), 'out')
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, [claudemeshBin, ...args], {
    env: { ...cleanEnvironment(), CLAUDEMESH_HOME: line.home, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

function ended(child: ChildProcess): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
}

const content = {
  '.hidden': 'hidden',
  'a.txt': 'a',
  'deep/er/b.bin': Buffer.alloc(3_000_000, 'b'),
  'deep/same.bin': Buffer.alloc(3_000_000, 'b'),
  'caf\u00e9 and spaces.txt': 'x',
  empty: '',
}

describe('a directory', () => {
  test('goes in, and all of it comes out again, verified', () => {
    const directory = makeTree(content)
    const pushed = push(directory, '--finalize')
    expect(pushed).toMatchObject({ files: 6, skipped: [], manifest_digest: expect.stringMatching(/^blake3:/) })
    const out = newPlace()
    expect(line.json(['artifact', 'pull', pushed.package_id, out])).toMatchObject({
      directory: out,
      files: 6,
      manifest_digest: pushed.manifest_digest,
    })
    expectSameFiles(out, directory)
    expect(statSync(join(out, 'deep/er/b.bin')).mode & 0o777).toBe(0o600)
    expect(readdirSync(dirname(out))).toEqual(['out'])
  })

  test('that has the same content twice, or content that the store has, sends it once', () => {
    const bytes = Buffer.alloc(200_000, String(Date.now()))
    const first = push(makeTree({ one: bytes, two: bytes }))
    expect(first).toMatchObject({ sent: 1, reused: 1 })
    expect(push(makeTree({ three: bytes }))).toMatchObject({ sent: 0, reused: 1 })
  })

  test('pushed again goes into the same open package, which then holds what the directory holds', () => {
    const directory = makeTree({ kept: '1', changed: '1', gone: '1' })
    const first = push(directory)
    expect(first).toMatchObject({ sent: 3, manifest_digest: null })
    writeFileSync(join(directory, 'changed'), '22')
    writeFileSync(join(directory, 'new'), '3')
    rmSync(join(directory, 'gone'))
    const second = push(directory, '--finalize')
    expect(second).toMatchObject({ package_id: first.package_id, sent: 2, unchanged: 1, removed: 1 })
    const { files } = line.json<FileList>(['artifact', 'files', first.package_id])
    expect(files.map(({ relative_path }) => relative_path)).toEqual(['changed', 'kept', 'new'])
    expect(push(directory).package_id).not.toBe(first.package_id)
  })

  test('goes beside what a named package has', () => {
    const { package_id: id } = line.json<ShownPackage>(['artifact', 'create', 'x'])
    line.json(['artifact', 'add', id, '-', '--as', 'other'], { input: '1' })
    expect(push(makeTree({ a: '1' }), '--package', id)).toMatchObject({ package_id: id, sent: 1, removed: 0 })
    expect(line.json<FileList>(['artifact', 'files', id]).files).toHaveLength(2)
  })

  test('can be narrowed by a list, from a file and from a pipe', () => {
    const directory = makeTree({ a: '1', b: '2', 'with\nnewline': '3' })
    const list = join(scratchDirectory(), 'list')
    writeFileSync(list, 'a\n')
    expect(push(directory, '--files-from', list)).toMatchObject({ files: 1 })
    const args = ['artifact', 'push', directory, '--files-from', '-', '--paths', 'posix']
    expect(line.json(args, { input: 'a\u0000b\u0000' })).toMatchObject({ files: 2 })
    expect(line.problem([...args], { input: '' })).toMatchObject({ code: 'invalid_usage' })
  })

  test('with links in it is refused before anything is sent, or goes without them', () => {
    const directory = makeTree({ a: '1' })
    symlinkSync('/etc/passwd', join(directory, 'link'))
    const before = line.json<PackageList>(['artifact', 'list', '--limit', '1000']).packages.length
    const refused = line.problem(['artifact', 'push', directory])
    expect(refused).toMatchObject({ code: 'invalid_path', exitCode: 65, special: ['link (symbolic link)'] })
    expect(line.json<PackageList>(['artifact', 'list', '--limit', '1000']).packages).toHaveLength(before)
    expect(push(directory, '--skip-special')).toMatchObject({ files: 1, skipped: ['link (symbolic link)'] })
  })

  test('that is not there, or is none, says so', () => {
    expect(line.run(['artifact', 'push', '/nonexistent']).stderr).toContain('/nonexistent')
    expect(line.problem(['artifact', 'push', '/etc/passwd'])).toMatchObject({ code: 'invalid_usage', exitCode: 64 })
  })
})

describe('interrupted', () => {
  const many = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => [`d/${index}`, `file ${index} ${Math.random()}`]),
  )

  test('a push ends by the signal, and the same again goes on', async () => {
    const directory = makeTree(many)
    const child = start(['artifact', 'push', directory])
    let notes = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      notes += text
    })
    await eventually('some files are in', () => {
      const text = line.run(['artifact', 'events', '--json']).stdout
      const events = text
        .trimEnd()
        .split('\n')
        .map((item) => JSON.parse(item) as ArtifactEvent)
      const ours = events.filter(({ payload }) => String(payload['relative_path']).startsWith('d/'))
      return ours.length > 5
    })
    child.kill('SIGINT')
    const { signal } = await ended(child)
    const again = push(directory, '--finalize')
    expect(again.sent + again.unchanged).toBe(400)
    expect(again.unchanged).toBeGreaterThan(5)
    // Unless it had come to its end in that very moment.
    if (signal !== null) {
      expect(signal).toBe('SIGINT')
      expect(again.sent).toBeGreaterThan(0)
      expect(notes).toContain('the same command goes on')
    }
    expectSameFiles(pulled(again.package_id), directory)
  })

  test('a pull leaves nothing', async () => {
    const { package_id: id } = push(makeTree(many), '--finalize')
    const out = newPlace()
    const child = start(['artifact', 'pull', id, out])
    const parent = dirname(out)
    await eventually('it has begun', () => readdirSync(parent).some((name) => name.endsWith('.partial')))
    child.kill('SIGTERM')
    expect((await ended(child)).signal).toBe('SIGTERM')
    expect(readdirSync(parent)).toEqual([])
  })

  test('a pipe leaves no file and no bytes', async () => {
    const { package_id: id } = line.json<ShownPackage>(['artifact', 'create', 'x'])
    const child = start(['artifact', 'add', id, '-', '--as', 'endless'])
    const area = join(daemonPaths(line.home, 'home').artifactsObjects, '.tmp')
    const staged = () =>
      readdirSync(area, { recursive: true, withFileTypes: true }).filter(
        (one) => one.isFile() && !one.name.startsWith('lock'),
      )
    // The interruption closes the pipe in the middle of a write.
    child.stdin?.on('error', () => undefined)
    child.stdin?.write(Buffer.alloc(3_000_000, 'x'))
    await eventually('bytes have arrived', () => staged().length > 0)
    child.kill('SIGINT')
    expect((await ended(child)).signal).toBe('SIGINT')
    await eventually('nothing of it is left', () => staged().length === 0)
    expect(line.json<FileList>(['artifact', 'files', id]).files).toEqual([])
  })

  test('by a kill right before its end, a pull can be made again', () => {
    const { package_id: id } = push(makeTree({ a: '1' }), '--finalize')
    const out = newPlace()
    const killed = line.run(['artifact', 'pull', id, out], { env: { CLAUDEMESH_CRASH_AT: 'cli.tree.before_rename' } })
    expect(killed.status).toBe(null)
    expect(existsSync(out)).toBe(false)
    expect(readdirSync(dirname(out))).toEqual([expect.stringMatching(/^\.out\.[0-9a-f]+\.partial$/)])
    line.json(['artifact', 'pull', id, out])
    expect(readdirSync(out)).toEqual(['a'])
  })
})

function pulled(packageId: string): string {
  const out = newPlace()
  line.json(['artifact', 'pull', packageId, out])
  return out
}

describe('what is there already is not written over', () => {
  test('by a pull', () => {
    const { package_id: id } = push(makeTree({ a: '1' }), '--finalize')
    const out = makeTree({ mine: '1' })
    expect(line.problem(['artifact', 'pull', id, out])).toMatchObject({ code: 'invalid_target', exitCode: 65 })
    expect(readdirSync(out)).toEqual(['mine'])
  })

  test('by a get, also where a link leads elsewhere', () => {
    const { package_id: id } = push(makeTree({ a: '1' }))
    const directory = makeTree({ mine: 'mine' })
    symlinkSync(join(directory, 'elsewhere'), join(directory, 'link'))
    for (const name of ['mine', 'link']) {
      const refused = line.problem(['artifact', 'get', `${id}/a`, '-o', join(directory, name)])
      expect(refused).toMatchObject({ code: 'invalid_target', exitCode: 65 })
    }
    expect(readFileSync(join(directory, 'mine'), 'utf8')).toBe('mine')
    expect(readdirSync(directory).sort()).toEqual(['link', 'mine'])
    const written = line.json(['artifact', 'get', `${id}/a`, '-o', join(directory, 'new')])
    expect(written).toMatchObject({ size_bytes: 1, path: join(directory, 'new') })
  })
})

describe('bytes that are others on the disk', () => {
  test.each([10, 5_000_000])('are not given out as %i good ones: 74, and no file', (size) => {
    const { package_id: id } = push(makeTree({ a: Buffer.alloc(size, `x${size}`) }), '--finalize')
    const { files } = line.json<FileList>(['artifact', 'files', id])
    const [algorithm = '', hex = ''] = (files[0]?.content_address ?? '').split(':')
    const objects = daemonPaths(line.home, 'home').artifactsObjects
    const path = join(objects, algorithm, hex.slice(0, 2), hex.slice(2, 4), hex)
    const bytes = readFileSync(path)
    bytes[size - 1] = 0
    writeFileSync(path, bytes)
    const directory = scratchDirectory()
    const refused = line.problem(['artifact', 'get', `${id}/a`, '-o', join(directory, 'out')])
    expect(refused).toMatchObject({ code: 'object_corrupt', exitCode: 74 })
    expect(line.problem(['artifact', 'pull', id, join(directory, 'tree')])).toMatchObject({ code: 'object_corrupt' })
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('a daemon that serves what is not right', () => {
  const id = '01JD8ZC6W0000000000000000A'

  /** Plays a daemon with one finalized package, whatever its manifest and its bytes are. */
  async function pretend(o: { readonly manifest: Uint8Array; readonly bytes: Uint8Array; readonly digest?: string }) {
    const daemon = new ScriptedDaemon()
    mkdirSync(homePaths(daemon.home).meshes)
    writeFileSync(meshFilePath(daemon.home, 'home'), '')
    const digest = o.digest ?? `blake3:${digestBytes(o.manifest).primary.hex}`
    await daemon.serve((response, { url }) => {
      if (url.endsWith('/manifest')) response.end(o.manifest)
      else if (url.includes('/blobs/')) response.end(o.bytes)
      else {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ package_id: id, manifest_digest: digest }))
      }
    })
    return daemon
  }

  function trueManifest(): { readonly manifest: Manifest; readonly bytes: Buffer } {
    const bytes = Buffer.from('good bytes')
    const { package_id: packageId } = push(makeTree({ 'a/file': bytes }), '--finalize')
    const manifest = decodeCanonical(
      line.runBytes(['artifact', 'manifest', packageId, '--cbor']),
    ) as unknown as Manifest
    return { manifest: { ...manifest, package: { ...manifest.package, package_id: id } }, bytes }
  }

  function encode(manifest: Manifest): Uint8Array {
    return encodeCanonical(manifest as unknown as Parameters<typeof encodeCanonical>[0])
  }

  async function pull(daemon: ScriptedDaemon, out: string) {
    const child = start(['artifact', 'pull', id, out, '--json'], { CLAUDEMESH_HOME: daemon.home })
    let text = ''
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    const { code } = await ended(child)
    return { code, problem: text === '' ? null : (JSON.parse(text) as { code: string }) }
  }

  test('is believed when everything agrees', async () => {
    const { manifest, bytes } = trueManifest()
    const out = newPlace()
    expect(await pull(await pretend({ manifest: encode(manifest), bytes }), out)).toEqual({ code: 0, problem: null })
    expect(readFileSync(join(out, 'a/file'), 'utf8')).toBe('good bytes')
  })

  const paths = ['../escape', '/tmp/escape', 'a/../../escape', 'a\u0000b', '.', 'a//b', 'a/./b']
  test.each(paths)('a manifest with the path %j writes nothing', async (path) => {
    const { manifest, bytes } = trueManifest()
    const files = manifest.files.map((file) => ({ ...file, relative_path: path }))
    const out = newPlace()
    const hostile = path.includes('\u0000') ? encode(manifest).fill(0, 40, 41) : encode({ ...manifest, files })
    const { code, problem } = await pull(await pretend({ manifest: hostile, bytes }), out)
    expect(code, problem?.code).toBe(65)
    expect(readdirSync(dirname(out))).toEqual([])
    expect(existsSync('/tmp/escape')).toBe(false)
  })

  test('a manifest that is not the sealed one, or of another package, is refused', async () => {
    const { manifest, bytes } = trueManifest()
    const out = newPlace()
    const other = await pretend({ manifest: encode(manifest), bytes, digest: `blake3:${'0'.repeat(64)}` })
    expect(await pull(other, out)).toMatchObject({ code: 65, problem: { code: 'digest_mismatch' } })
    const elsewhere = { ...manifest, package: { ...manifest.package, package_id: '01JD8ZC6W0000000000000000B' } }
    const stranger = await pretend({ manifest: encode(elsewhere), bytes })
    expect(await pull(stranger, out)).toMatchObject({ code: 65, problem: { code: 'digest_mismatch' } })
    expect(readdirSync(dirname(out))).toEqual([])
  })

  test.each(['evil bytes', 'good bytes and more', 'good', ''])(
    'bytes that are not those of the manifest: %j',
    async (evil) => {
      const { manifest } = trueManifest()
      const out = newPlace()
      const daemon = await pretend({ manifest: encode(manifest), bytes: Buffer.from(evil) })
      expect(await pull(daemon, out)).toMatchObject({ code: 65, problem: { code: 'digest_mismatch' } })
      expect(readdirSync(dirname(out))).toEqual([])
    },
  )
})

/** On demand: `CLAUDEMESH_TEST_LARGE_FILE_MIB=1024`. */
const mebibytes = Number(process.env['CLAUDEMESH_TEST_LARGE_FILE_MIB'] ?? 192)
const residentMax = 160 * 1024 * 1024

test(`a pipe of ${mebibytes} MiB goes in and out in bounded memory`, { timeout: 600_000 }, async () => {
  const { package_id: id } = line.json<ShownPackage>(['artifact', 'create', 'large'])
  const peaks: number[] = []
  const watch = async (child: ChildProcess) => {
    let peak = 0
    const timer = setInterval(() => {
      try {
        if (child.pid !== undefined) peak = Math.max(peak, residentBytes(child.pid) || 0)
      } catch {
        // It has ended between two looks.
      }
    }, 50)
    const { code } = await ended(child)
    clearInterval(timer)
    peaks.push(peak)
    expect(code).toBe(0)
  }
  const adding = start(['artifact', 'add', id, '-', '--as', 'large'])
  const added = watch(adding)
  const block = Buffer.alloc(1024 * 1024, 'z')
  for (let sent = 0; sent < mebibytes; sent += 1) {
    if (adding.stdin?.write(block) === false) await new Promise((resolve) => adding.stdin?.once('drain', resolve))
  }
  adding.stdin?.end()
  await added
  const getting = start(['artifact', 'get', `${id}/large`])
  const got = watch(getting)
  let received = 0
  for await (const chunk of getting.stdout ?? []) received += (chunk as Buffer).length
  await got
  expect(received).toBe(mebibytes * 1024 * 1024)
  console.log(
    `${mebibytes} MiB: at most ${peaks.map((peak) => Math.round(peak / 1024 / 1024)).join(' and ')} MiB of memory`,
  )
  for (const peak of peaks) expect(peak).toBeLessThan(residentMax)
})

test('a reader that has seen enough ends a get quietly', () => {
  const { package_id: id } = push(makeTree({ a: Buffer.alloc(2_000_000, 'line\n') }))
  const shell = `"${process.execPath}" "${claudemeshBin}" artifact get ${id}/a | head -1`
  const env = { ...cleanEnvironment(), CLAUDEMESH_HOME: line.home }
  expect(execFileSync('sh', ['-c', shell], { env, encoding: 'utf8' })).toBe('line\n')
})
