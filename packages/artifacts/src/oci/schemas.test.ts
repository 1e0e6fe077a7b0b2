/** The golden layouts, which exports are byte for byte, are what the schemas of the OCI image specification ask for. */
import { readFileSync } from 'node:fs'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import type { Descriptor, ImageManifest } from './documents.ts'

const vectors = new URL('../../vectors/', import.meta.url)

type Json = Record<string, unknown>

function readJson(name: string): Json {
  return JSON.parse(readFileSync(new URL(name, vectors), 'utf8')) as Json
}

/** A schema with what it refers to in its place. */
function schemaOf(name: string) {
  const inline = (value: unknown, file: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => inline(item, file))
    if (value === null || typeof value !== 'object') return value
    const { $ref, id: _id, $schema: _schema, ...rest } = value as Json
    if (typeof $ref !== 'string') {
      return Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, inline(item, file)]))
    }
    const [target = '', pointer = ''] = $ref.split('#', 2)
    const source = target === '' ? file : target
    const steps = pointer.split('/').filter((step) => step !== '')
    return inline(
      steps.reduce<unknown>((node, step) => (node as Json)[step], readJson(`oci/${source}`)),
      source,
    )
  }
  return Compile(inline(readJson(`oci/${name}`), name) as object)
}

const layoutSchema = schemaOf('image-layout-schema.json')
const indexSchema = schemaOf('image-index-schema.json')
const manifestSchema = schemaOf('image-manifest-schema.json')
const descriptorSchema = schemaOf('content-descriptor.json')

describe.each([
  ['golden/oci-layout', 2],
  ['golden/oci-layout-without-files', 1],
])('%s', (name, images) => {
  const index = readJson(`${name}/index.json`) as Json & { readonly manifests: readonly Descriptor[] }
  const manifests = index.manifests.map(({ digest }) => readJson(`${name}/blobs/${digest.replace(':', '/')}`))

  test('is a layout with an index', () => {
    expect([...layoutSchema.Errors(readJson(`${name}/oci-layout`))]).toEqual([])
    expect([...indexSchema.Errors(index)]).toEqual([])
    expect(manifests).toHaveLength(images)
  })

  test('lists descriptors and image manifests', () => {
    for (const descriptor of index.manifests) expect([...descriptorSchema.Errors(descriptor)]).toEqual([])
    for (const manifest of manifests as unknown as ImageManifest[]) {
      expect([...manifestSchema.Errors(manifest)]).toEqual([])
      for (const layer of manifest.layers) expect([...descriptorSchema.Errors(layer)]).toEqual([])
    }
  })

  test('would not do with a fault, which the schemas find', () => {
    const [manifest] = manifests
    expect(manifestSchema.Check({ ...manifest, config: { mediaType: 'x', digest: 'none', size: 1 } })).toBe(false)
    expect(manifestSchema.Check({ ...manifest, layers: [] })).toBe(false)
    expect(indexSchema.Check({ ...index, schemaVersion: 1 })).toBe(false)
    expect(layoutSchema.Check({ imageLayoutVersion: '2' })).toBe(false)
  })
})
