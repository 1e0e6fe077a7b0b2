import { expect, test } from 'vitest'
import { splitMeta } from './message-view.ts'

const rows: readonly { name: string; meta: Parameters<typeof splitMeta>[0]; parts: ReturnType<typeof splitMeta> }[] = [
  { name: 'no meta', meta: null, parts: { contentType: null, mentions: [], meta: null } },
  {
    name: 'only reserved members',
    meta: { $contentType: 'text/plain', $mentions: ['ab'] },
    parts: { contentType: 'text/plain', mentions: ['ab'], meta: null },
  },
  {
    name: 'members of the caller beside reserved ones',
    meta: { $contentType: 'text/plain', build: 7 },
    parts: { contentType: 'text/plain', mentions: [], meta: { build: 7 } },
  },
  {
    name: 'reserved members of a wrong type, from a dishonest sender',
    meta: { $contentType: 7, $mentions: ['ab', 7, null] },
    parts: { contentType: null, mentions: ['ab'], meta: null },
  },
]

for (const { name, meta, parts } of rows) {
  test(`meta is told apart: ${name}`, () => {
    expect(splitMeta(meta)).toEqual(parts)
  })
}
