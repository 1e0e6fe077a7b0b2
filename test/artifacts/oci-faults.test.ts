/** Image layouts with a fault: wherever it is, nothing of the layout is taken. */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { planImport } from '@claudemesh/artifacts'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { type Described, ForeignLayout, imageIndexType, imageManifestType, titled } from './foreign-layout.ts'

const golden = fileURLToPath(new URL('../../packages/artifacts/vectors/golden/oci-layout', import.meta.url))

/** What is wrong with a layout, and what it is refused with. */
type Fault = readonly [
  name: string,
  make: (layout: ForeignLayout) => string,
  expected: Readonly<Record<string, string>>,
]

const pathOf = (layout: ForeignLayout, { digest }: Described) =>
  join(layout.directory, 'blobs', ...(digest.split(':') as [string, string]))
const listOne = (layout: ForeignLayout, ...layers: readonly Described[]) => layout.list(layout.image(layers))
const layoutFault = (reason: string) => ({ code: 'invalid_layout', reason })

const faults: readonly Fault[] = [
  ['nothing', () => scratchDirectory(), layoutFault('missing')],
  [
    'another version',
    (layout) => {
      layout.write('oci-layout', '{"imageLayoutVersion":"1.0.1"}')
      return listOne(layout)
    },
    layoutFault('version'),
  ],
  [
    'a marker that is no JSON',
    (layout) => {
      layout.write('oci-layout', '1.0.0')
      return listOne(layout)
    },
    layoutFault('json'),
  ],
  [
    'a marker that is large',
    (layout) => {
      layout.write('oci-layout', `{"imageLayoutVersion":"1.0.0"}${' '.repeat(5000)}`)
      return listOne(layout)
    },
    layoutFault('too_large'),
  ],
  ['no index', (layout) => layout.directory, layoutFault('missing')],
  [
    'an index that is a list',
    (layout) => {
      layout.write('index.json', '[]')
      return layout.directory
    },
    layoutFault('schema'),
  ],
  [
    'an index that nests without an end',
    (layout) => {
      layout.write('index.json', '['.repeat(200_000))
      return layout.directory
    },
    layoutFault('json'),
  ],
  [
    'an index of another schema',
    (layout) => {
      layout.write('index.json', '{"schemaVersion":1,"manifests":[]}')
      return layout.directory
    },
    layoutFault('schema'),
  ],
  [
    'an index that is no UTF-8',
    (layout) => {
      layout.write('index.json', Buffer.from('{"schemaVersion":2,"manifests":[],"x":"\xff"}', 'latin1'))
      return layout.directory
    },
    layoutFault('json'),
  ],
  [
    'a manifest that is not there',
    (layout) => {
      const image = layout.image([])
      unlinkSync(pathOf(layout, image))
      return layout.list(image)
    },
    layoutFault('missing'),
  ],
  [
    'a manifest without layers',
    (layout) => layout.list(layout.image([], { layers: undefined })),
    layoutFault('schema'),
  ],
  [
    'a manifest that calls itself an index',
    (layout) => layout.list(layout.image([], { mediaType: imageIndexType, manifests: [] })),
    layoutFault('media_type'),
  ],
  [
    'a manifest that is listed as an index too',
    (layout) => layout.list({ ...layout.image([], { mediaType: undefined }), mediaType: imageIndexType }),
    layoutFault('schema'),
  ],
  [
    'a document that is too large to be one',
    (layout) => layout.list({ ...layout.image([]), size: 64 * 1024 * 1024 + 1 }),
    layoutFault('too_large'),
  ],
  [
    'indexes nested nine deep',
    (layout) => {
      let top = layout.nest([layout.image([])])
      for (let depth = 1; depth < 8; depth += 1) top = layout.nest([top])
      return layout.list(top)
    },
    layoutFault('too_deep'),
  ],
  [
    'a digest with another algorithm',
    (layout) => listOne(layout, { ...layout.blob('x'), digest: `sha512:${'0'.repeat(128)}` }),
    { code: 'algorithm_unsupported' },
  ],
  [
    'a digest that climbs',
    (layout) => listOne(layout, { ...layout.blob('x'), digest: 'sha256:../../oci-layout' }),
    { code: 'invalid_content_address' },
  ],
  [
    'an algorithm that climbs',
    (layout) => listOne(layout, { ...layout.blob('x'), digest: '../../x:00' }),
    { code: 'algorithm_unsupported' },
  ],
  [
    'a digest without an algorithm',
    (layout) => listOne(layout, { ...layout.blob('x'), digest: 'x' }),
    { code: 'invalid_content_address' },
  ],
  ['a layer of a negative size', (layout) => listOne(layout, { ...layout.blob('x'), size: -1 }), layoutFault('schema')],
  [
    'a layer that is longer than said',
    (layout) => listOne(layout, { ...layout.blob('xyz'), size: 2 }),
    { code: 'size_mismatch' },
  ],
  [
    'a layer that is cut',
    (layout) => {
      const layer = layout.blob('xyz')
      truncateSync(pathOf(layout, layer), 2)
      return listOne(layout, layer)
    },
    { code: 'size_mismatch' },
  ],
  [
    'a layer with other bytes',
    (layout) => {
      const layer = layout.blob('xyz')
      writeFileSync(pathOf(layout, layer), 'abc')
      return listOne(layout, layer)
    },
    { code: 'digest_mismatch' },
  ],
  [
    'a config with other bytes',
    (layout) => {
      const config = layout.blob('{"a":1}')
      writeFileSync(pathOf(layout, config), '{"a":2}')
      return layout.list(layout.image([layout.blob('x')], { config }))
    },
    { code: 'digest_mismatch' },
  ],
  [
    'a layer to be had elsewhere',
    (layout) => {
      const layer = { ...layout.blob('x'), urls: ['https://example.com/x'] }
      unlinkSync(pathOf(layout, layer))
      return listOne(layout, layer)
    },
    layoutFault('missing'),
  ],
  [
    'a layer that is a symbolic link',
    (layout) => {
      const layer = layout.blob('secret')
      const elsewhere = join(scratchDirectory(), 'secret')
      renameSync(pathOf(layout, layer), elsewhere)
      symlinkSync(elsewhere, pathOf(layout, layer))
      return listOne(layout, layer)
    },
    layoutFault('not_a_file'),
  ],
  [
    'a directory of blobs that is a symbolic link',
    (layout) => {
      const directory = listOne(layout, layout.blob('x'))
      const elsewhere = join(scratchDirectory(), 'sha256')
      renameSync(join(directory, 'blobs/sha256'), elsewhere)
      symlinkSync(elsewhere, join(directory, 'blobs/sha256'))
      return directory
    },
    layoutFault('not_a_file'),
  ],
  [
    'an index that is a pipe',
    (layout) => {
      execFileSync('mkfifo', [join(layout.directory, 'index.json')])
      return layout.directory
    },
    layoutFault('not_a_file'),
  ],
  ...['/etc/passwd', '../x', 'a//b', 'CON', ''].map(
    (title): Fault => [
      `the title ${JSON.stringify(title)}`,
      (layout) => listOne(layout, layout.blob('x', titled(title))),
      { code: 'invalid_path' },
    ],
  ),
  [
    'one title twice',
    (layout) => listOne(layout, layout.blob('x', titled('a')), layout.blob('y', titled('a'))),
    { code: 'duplicate_path' },
  ],
  [
    'two titles that are one for some systems',
    (layout) => listOne(layout, layout.blob('x', titled('a')), layout.blob('y', titled('A'))),
    { code: 'path_collision' },
  ],
  [
    'a title where another needs a directory',
    (layout) => listOne(layout, layout.blob('x', titled('a')), layout.blob('y', titled('a/b'))),
    { code: 'path_collision' },
  ],
  [
    'a fault in the last of several images',
    (layout) => layout.list(layout.image([layout.blob('x')]), layout.image([layout.blob('y', titled('..'))])),
    { code: 'invalid_path' },
  ],
]

describe('a layout is refused whole for', () => {
  test.each(faults)('%s', async (_, make, expected) => {
    await expect(planImport(make(new ForeignLayout()))).rejects.toMatchObject(expected)
  })
})

/** A copy of the golden layout in which the image has other layers than its config names. */
function withOtherLayers(change: (layers: readonly Described[]) => readonly Described[]): string {
  const layout = new ForeignLayout()
  cpSync(join(golden, 'blobs'), join(layout.directory, 'blobs'), { recursive: true })
  const documents = readdirSync(join(golden, 'blobs/sha256')).map((name) => join(golden, 'blobs/sha256', name))

  const image = documents
    .map((path) => readFileSync(path, 'utf8'))
    .filter((text) => text.startsWith('{') && text.includes('"layers"') && !text.includes('"subject"'))
    .map((text) => JSON.parse(text) as { readonly layers: readonly Described[] })[0]
  if (image === undefined) throw new Error('the golden layout has an image')
  const descriptor = layout.json({ ...image, layers: change(image.layers) }, { mediaType: imageManifestType })
  return layout.list(descriptor)
}

describe('an export of ours that was changed is refused', () => {
  test.each([
    ['not at all when it was not', (layers: readonly Described[]) => layers, null],
    ['a file less', (layers: readonly Described[]) => layers.slice(1), 'config'],
    ['other order', (layers: readonly Described[]) => layers.toReversed(), 'config'],
    [
      'another path',
      (layers: readonly Described[]) =>
        layers.map((layer, index) => (index === 0 ? { ...layer, ...titled('z') } : layer)),
      'config',
    ],
    [
      'a file more',
      (layers: readonly Described[]) => [...layers, { ...layers[0], ...titled('more') } as Described],
      'config',
    ],
  ])('%s', async (_, change, reason) => {
    const planning = planImport(withOtherLayers(change))
    if (reason === null) expect(await planning).toHaveLength(1)
    else await expect(planning).rejects.toMatchObject({ code: 'invalid_layout', reason })
  })

  test('a config that is no manifest', async () => {
    const layout = new ForeignLayout()
    const config = layout.blob('not CBOR', { mediaType: 'application/vnd.claudemesh.manifest.v1+cbor' })
    const planning = planImport(layout.list(layout.image([], { config })))
    await expect(planning).rejects.toMatchObject({ code: expect.stringMatching(/^cbor_/) })
  })
})
