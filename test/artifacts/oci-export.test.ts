/** A package as an OCI image layout: what is written, that it is the same each time, and what a failure leaves. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  decodeEnvelope,
  exportLayout,
  manifestMediaType,
  signManifest,
  verifyManifestEnvelope,
} from '@claudemesh/artifacts'
import { importSigningKeyPair } from '@claudemesh/identity'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { directoryContents, expectSameFiles } from './directory-contents.ts'
import { type Contents, type SamplePackage, samplePackage } from './sample-package.ts'

const vectors = fileURLToPath(new URL('../../packages/artifacts/vectors', import.meta.url))
const golden = join(vectors, 'golden', 'oci-layout')

const contents: Contents = {
  'a.txt': 'hello',
  'b/c.json': '{"n":1}\n',
  'b/same as a.txt': 'hello',
  'ä.txt': 'x'.repeat(3000),
  empty: '',
}

/** skopeo is an oracle where it is installed; no other test needs it. */
const hasSkopeo = spawnSync('skopeo', ['--version']).status === 0

/** The package that the golden layout holds, with one signature. */
function signedPackage(): SamplePackage {
  const sample = samplePackage(contents)
  return { ...sample, signatures: [signManifest(sample.manifestBytes, importSigningKeyPair(Buffer.alloc(32, 7)))] }
}

type Json = Record<string, unknown>
interface Described {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

function readJson(directory: string, name: string) {
  return JSON.parse(readFileSync(join(directory, name), 'utf8')) as Json
}

const readBlob = (directory: string, { digest }: Described) =>
  readFileSync(join(directory, 'blobs', 'sha256', digest.slice('sha256:'.length)))

async function exportSample(sample: SamplePackage, o: { readonly ref?: string } = {}) {
  const directory = join(scratchDirectory(), 'layout')
  const { digest } = await exportLayout(sample, { directory, ...o })
  const { manifests } = readJson(directory, 'index.json') as { readonly manifests: readonly Described[] }
  const [image, ...referrers] = manifests
  if (image === undefined) throw new Error('an export lists an image')
  const manifest = JSON.parse(readBlob(directory, image).toString()) as Json & {
    readonly config: Described
    readonly layers: readonly Described[]
    readonly annotations: Readonly<Record<string, string>>
  }
  return { directory, digest, image, referrers, manifest }
}

describe('an export', () => {
  test.each([
    ['of a signed package', 'oci-layout', signedPackage()],
    ['of a package without files', 'oci-layout-without-files', samplePackage({})],
  ])('%s is the golden layout, byte for byte', async (_, name, sample) => {
    const { directory } = await exportSample(sample, { ref: 'v1.0' })
    expectSameFiles(directory, join(vectors, 'golden', name))
  })

  test('has every blob under its digest, and nothing else', async () => {
    const { directory } = await exportSample(signedPackage())
    const files = directoryContents(directory)
    expect([...files.keys()].filter((path) => !path.startsWith('blobs/'))).toEqual(['index.json', 'oci-layout'])
    for (const [path, bytes] of files) {
      if (!path.startsWith('blobs/')) continue
      expect(path).toBe(`blobs/sha256/${createHash('sha256').update(bytes).digest('hex')}`)
    }
  })

  test('names its parts as other tools look for them', async () => {
    const sample = samplePackage(contents)
    const { image, manifest, digest, directory } = await exportSample(sample)
    expect(image).toMatchObject({
      digest,
      artifactType: 'application/vnd.example.report',
      annotations: { 'org.opencontainers.image.ref.name': sample.manifest.package.package_id },
    })
    expect(manifest).toMatchObject({ schemaVersion: 2, artifactType: 'application/vnd.example.report' })
    expect(manifest.config.mediaType).toBe(manifestMediaType)
    expect(readBlob(directory, manifest.config).equals(sample.manifestBytes)).toBe(true)
    expect(manifest.annotations).toEqual({
      'com.example.team': 'käse',
      'io.claudemesh.manifest-digest': expect.stringMatching(/^blake3:[0-9a-f]{64}$/),
      'org.opencontainers.image.created': '2026-01-02T03:04:06.678Z',
      'org.opencontainers.image.title': 'report',
    })
    expect(manifest.layers.map(({ annotations }) => annotations?.['org.opencontainers.image.title'])).toEqual(
      sample.manifest.files.map((file) => file.relative_path),
    )
    expect(manifest.layers[1]?.annotations).toEqual({
      'com.example.directory': 'yes',
      'org.opencontainers.image.title': 'b/c.json',
      'io.claudemesh.content-address': sample.manifest.files[1]?.content_address,
    })
  })

  test('is the original tree for whoever writes each layer under its title, as `oras pull` does', async () => {
    const { manifest, directory } = await exportSample(samplePackage(contents))
    const tree = manifest.layers.map((layer) => [
      layer.annotations?.['org.opencontainers.image.title'],
      readBlob(directory, layer).toString(),
    ])
    expect(Object.fromEntries(tree)).toEqual(
      Object.fromEntries(Object.entries(contents).map(([path, content]) => [path, Buffer.from(content).toString()])),
    )
  })

  test('carries signatures as an artifact that refers to the image', async () => {
    const sample = signedPackage()
    const { directory, image, referrers } = await exportSample(sample)
    const [referrer] = referrers
    if (referrer === undefined) throw new Error('a signed package has a referrer')
    const document = JSON.parse(readBlob(directory, referrer).toString()) as Json & {
      readonly subject: Described
      readonly layers: readonly [Described]
    }
    expect(document.subject).toMatchObject({ digest: image.digest, size: image.size })
    const envelope = decodeEnvelope(readBlob(directory, document.layers[0]))
    expect(Buffer.from(sample.manifestBytes).equals(envelope.payload)).toBe(true)
    expect(await verifyManifestEnvelope(envelope, () => 'trusted')).toMatchObject([{ verdict: 'valid' }])
  })

  test.skipIf(!hasSkopeo)('is copied by skopeo, which finds all that it should hold', async () => {
    const { directory, digest } = await exportSample(signedPackage(), { ref: 'v1.0' })
    const copy = join(scratchDirectory(), 'copy')
    execFileSync('skopeo', ['copy', '--insecure-policy', '--quiet', `oci:${directory}:v1.0`, `oci:${copy}:copied`])
    expect(readJson(copy, 'index.json')).toMatchObject({ manifests: [{ digest }] })
    const blobs = [...directoryContents(copy).keys()].filter((path) => path.startsWith('blobs/'))
    expect([...directoryContents(directory).keys()]).toEqual(expect.arrayContaining(blobs))
    expect(blobs).toHaveLength(6)
  })

  test('goes into a directory that is empty', async () => {
    const directory = scratchDirectory()
    await exportLayout(samplePackage(contents), { directory })
    expect(readdirSync(directory).toSorted()).toEqual(['blobs', 'index.json', 'oci-layout'])
  })
})

describe('an export that cannot be made leaves the place as it was', () => {
  test.each(['', 'a b', '../x', '-a', 'a..b', 'a/', 'ä', 'x'.repeat(256)])('under the name %j', async (ref) => {
    const directory = join(scratchDirectory(), 'layout')
    const exporting = exportLayout(samplePackage(contents), { directory, ref })
    await expect(exporting).rejects.toMatchObject({ code: 'invalid_ref', status: 400 })
    expect(existsSync(directory)).toBe(false)
  })

  test('where something is already', async () => {
    const parent = scratchDirectory()
    const [full, file, link] = ['full', 'file', 'link'].map((name) => join(parent, name)) as [string, string, string]
    mkdirSync(full)
    writeFileSync(join(full, 'keep'), 'me')
    writeFileSync(file, 'me too')
    symlinkSync(scratchDirectory(), link)
    for (const directory of [full, file, link]) {
      const exporting = exportLayout(samplePackage(contents), { directory })
      await expect(exporting).rejects.toMatchObject({ code: 'invalid_target' })
    }
    expect(directoryContents(parent)).toEqual(
      new Map([
        ['file', Buffer.from('me too')],
        ['full/keep', Buffer.from('me')],
      ]),
    )
  })

  test.each([
    ['other bytes', 'jello'],
    ['fewer bytes', 'hell'],
    ['more bytes', 'hello!'],
  ])('when the store gives %s', async (_, given) => {
    const parent = scratchDirectory()
    mkdirSync(join(parent, 'empty'))
    const sample: SamplePackage = {
      ...samplePackage(contents),
      async *read() {
        yield Buffer.from(given)
      },
    }
    for (const name of ['new', 'empty']) {
      const exporting = exportLayout(sample, { directory: join(parent, name) })
      await expect(exporting).rejects.toMatchObject({ code: 'object_corrupt' })
    }
    expect(readdirSync(parent)).toEqual(['empty'])
    expect(readdirSync(join(parent, 'empty'))).toEqual([])
  })

  test('when the store fails', async () => {
    const directory = join(scratchDirectory(), 'layout')
    const failure = new Error('the store is gone')
    const sample: SamplePackage = {
      ...samplePackage(contents),
      // biome-ignore lint/correctness/useYield: it fails before it gives anything
      async *read() {
        throw failure
      },
    }
    await expect(exportLayout(sample, { directory })).rejects.toBe(failure)
    expect(existsSync(directory)).toBe(false)
  })

  test('when the disk is full', async () => {
    const directory = join(scratchDirectory(), 'layout')
    const child = startChild('artifacts/children/export-layout.mjs', [golden, directory], { fileBytesMax: 1024 })
    const { code, stderr } = await child.exited
    expect([code, existsSync(directory)]).toEqual([1, false])
    expect(stderr).toContain("code: 'insufficient_storage'")
  })

  test('and one that is killed leaves no index', async () => {
    const directory = join(scratchDirectory(), 'layout')
    const environment = { CLAUDEMESH_CRASH_AT: 'artifacts.export.before_index' }
    const child = startChild('artifacts/children/export-layout.mjs', [golden, directory], { environment })
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    expect(existsSync(join(directory, 'index.json'))).toBe(false)
  })
})
