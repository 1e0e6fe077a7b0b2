/** Image layouts of ours and of others: what importing one would make. */
import { createHash } from 'node:crypto'
import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  contentRoot,
  digestBytes,
  formatContentAddress,
  type PlanImportOptions,
  type PlannedPackage,
  planImport,
} from '@claudemesh/artifacts'
import { describe, expect, test } from 'vitest'
import { ForeignLayout, named, titled } from './foreign-layout.ts'

const vectors = fileURLToPath(new URL('../../packages/artifacts/vectors', import.meta.url))
const golden = join(vectors, 'golden', 'oci-layout')

async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The one package that a layout would make. */
async function planOne(directory: string, o?: PlanImportOptions): Promise<PlannedPackage> {
  const [planned, ...more] = await planImport(directory, o)
  if (planned === undefined || more.length > 0) throw new Error(`${more.length + 1} packages, and not one`)
  return planned
}

async function contentsOf({ files }: PlannedPackage): Promise<Record<string, string>> {
  const entries = files.map(async (file) => [file.relativePath, (await readAll(file.read())).toString()] as const)
  return Object.fromEntries(await Promise.all(entries))
}

const pathsOf = ({ files }: PlannedPackage) => files.map((file) => file.relativePath)

describe('an export of ours', () => {
  test('comes back with equal files and an equal content root', async () => {
    const planned = await planOne(golden, { ref: 'v1.0' })
    expect(planned).toMatchObject({
      importedFrom: 'oci:sha256:0bc63793a984e6a7572d3b7e4818b32df92a73d56a9bb9f48cc6c81d93cb2e32',
      ref: 'v1.0',
      name: 'report',
      artifactType: 'application/vnd.example.report',
      annotations: { 'com.example.team': 'käse' },
    })
    expect(await contentsOf(planned)).toEqual({
      'a.txt': 'hello',
      'b/c.json': '{"n":1}\n',
      'b/same as a.txt': 'hello',
      'ä.txt': 'x'.repeat(3000),
      empty: '',
    })
    const files = planned.manifest?.files ?? []
    const root = contentRoot(
      planned.files.map((file, index) => ({
        ...(files[index] ?? Object.create(null)),
        relative_path: file.relativePath,
        size_bytes: file.digests.sizeBytes,
        digest_sha256: file.digests.sha256.hex,
        content_address: formatContentAddress(file.digests.primary),
      })),
    )
    expect(root).toBe(planned.manifest?.package.content_root)
    expect(planned.files[1]).toMatchObject({
      mediaType: 'application/json',
      annotations: { 'com.example.directory': 'yes' },
    })
  })

  test('is one package, with its signatures passed over', async () => {
    expect(await planImport(golden)).toHaveLength(1)
  })
})

describe('a layout of others', () => {
  test('that skopeo made of a Docker archive in which a layer is there twice', async () => {
    const planned = await planOne(join(vectors, 'oci', 'skopeo-layout'))
    const hex = '0f706bdca193645d60d87500ce3f7582cbfed925aa7b2daeb0f0caed00d7d2d5'
    expect(planned).toMatchObject({ ref: 'demo', artifactType: 'application/vnd.oci.image.config.v1+json' })
    expect(planned.files).toMatchObject([
      { relativePath: hex, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digests: { sizeBytes: 121 } },
    ])
  })

  test('as ORAS writes it: files by their titles, annotations that are ours to keep, unknown members ignored', async () => {
    const layout = new ForeignLayout()
    const layers = [
      layout.blob('one', { mediaType: 'Text/Plain; charset=utf-8', ...titled('docs/one.txt') }),
      layout.blob('two', {
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        annotations: {
          'org.opencontainers.image.title': 'two',
          'io.deis.oras.content.unpack': 'true',
          'io.claudemesh.content-address': 'blake3:lie',
        },
      }),
    ]
    const image = layout.image(layers, {
      artifactType: 'application/vnd.acme.rocket',
      annotations: {
        'org.opencontainers.image.created': '2026-01-01T00:00:00Z',
        'com.acme.a': 'b',
        'com.acme.nul': '\0',
      },
      unknown: { member: 1 },
    })
    layout.write('extra/file.txt', 'what is this')
    const planned = await planOne(layout.list({ ...image, ...named('v2') }))
    expect(planned).toMatchObject({
      importedFrom: `oci:${image.digest}`,
      name: 'v2',
      artifactType: 'application/vnd.acme.rocket',
      annotations: { 'com.acme.a': 'b' },
      manifest: null,
      pathPolicy: 'portable',
    })
    expect(Object.keys(planned.annotations)).toEqual(['com.acme.a'])
    expect(await contentsOf(planned)).toEqual({ 'docs/one.txt': 'one', two: 'two' })
    expect(planned.files.map(({ mediaType, annotations }) => [mediaType, annotations])).toEqual([
      ['text/plain', {}],
      ['application/vnd.oci.image.layer.v1.tar+gzip', { 'io.deis.oras.content.unpack': 'true' }],
    ])
  })

  test('as skopeo and docker write it: indexes within each other, layers without titles, some of them twice', async () => {
    const layout = new ForeignLayout()
    const [a, b] = [layout.blob('layer a'), layout.blob('layer b')]
    const list = 'application/vnd.docker.distribution.manifest.list.v2+json'
    const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
    const config = layout.blob('{"os":"linux"}', { mediaType: 'application/vnd.docker.container.image.v1+json' })
    const docker = layout.json(
      { schemaVersion: 2, mediaType: manifestType, config, layers: [a, b, a] },
      { mediaType: manifestType },
    )
    const inner = layout.json({ schemaVersion: 2, mediaType: list, manifests: [docker] }, { mediaType: list })
    const plain = layout.image([b])
    const other = layout.blob('?', { mediaType: 'application/vnd.example.unknown' })
    const directory = layout.list({ ...layout.nest([inner, plain, docker]), ...named('latest') }, other)
    const [first, second, ...more] = await planImport(directory)
    expect(more).toEqual([])
    expect(first).toMatchObject({
      importedFrom: `oci:${docker.digest}`,
      ref: 'latest',
      artifactType: 'application/vnd.docker.container.image.v1+json',
    })
    expect(pathsOf(first as PlannedPackage)).toEqual([a, b].map(({ digest }) => digest.slice('sha256:'.length)))
    expect(second).toMatchObject({ importedFrom: `oci:${plain.digest}` })
  })

  test('with blobs named by BLAKE3', async () => {
    const layout = new ForeignLayout()
    const layer = layout.blob('by blake3', titled('x'), 'blake3')
    const planned = await planOne(layout.list(layout.image([layer])))
    expect(planned.files[0]?.digests).toEqual(digestBytes(Buffer.from('by blake3')))
  })

  test('of which one name is asked for', async () => {
    const layout = new ForeignLayout()
    const imageOf = (text: string) => ({ ...layout.image([layout.blob(text)]), ...named(text) })
    const [one, two] = [imageOf('1'), imageOf('2')]
    // What is not asked for is not looked at.
    unlinkSync(join(layout.directory, 'blobs/sha256', createHash('sha256').update('1').digest('hex')))
    const directory = layout.list(one, two)
    expect(await planOne(directory, { ref: '2' })).toMatchObject({ ref: '2' })
    await expect(planImport(directory)).rejects.toMatchObject({ code: 'invalid_layout', reason: 'missing' })
    await expect(planImport(directory, { ref: '3' })).rejects.toMatchObject({ reason: 'ref' })
  })

  test('with an index that is reached in many ways costs one look', async () => {
    const layout = new ForeignLayout()
    let top = layout.nest([layout.image([layout.blob('x')])])
    for (let depth = 0; depth < 6; depth += 1) top = layout.nest(Array.from({ length: 200 }, () => top))
    expect(await planImport(layout.list(top))).toHaveLength(1)
  })

  test('with titles that only some systems take, where that is asked for', async () => {
    const layout = new ForeignLayout()
    const directory = layout.list(layout.image([layout.blob('1', titled('aa:b')), layout.blob('2', titled('AA:B'))]))
    expect(pathsOf(await planOne(directory, { pathPolicy: 'posix' }))).toEqual(['aa:b', 'AA:B'])
    await expect(planImport(directory)).rejects.toMatchObject({ code: 'invalid_path', reason: 'windows_char' })
  })

  test('whose blob changes after it was checked is not what its digests say', async () => {
    const layout = new ForeignLayout()
    const layer = layout.blob('before', titled('x'))
    const planned = await planOne(layout.list(layout.image([layer])))
    const path = join(layout.directory, 'blobs/sha256', layer.digest.slice(7))
    writeFileSync(path, 'later!')
    const [file] = planned.files
    if (file === undefined) throw new Error('a file was planned')
    expect(digestBytes(await readAll(file.read()))).not.toEqual(file.digests)
    writeFileSync(path, 'longer than before')
    await expect(readAll(file.read())).rejects.toMatchObject({ code: 'size_mismatch' })
  })
})
