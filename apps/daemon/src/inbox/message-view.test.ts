import { expect, test } from 'vitest'
import { splitMeta } from './message-view.ts'

const address = `blake3:${'1'.repeat(64)}`
const enc = { alg: 'age-stream-v1', address, size_bytes: 37 }
const files = {
  ...{ v: 1, share_id: '01K0000000000000000000000A', name: 'a.txt', media_type: 'text/plain', size_bytes: 5 },
  ...{ content_address: address, sha256: '2'.repeat(64) },
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const rows: readonly { name: string; meta: Parameters<typeof splitMeta>[0]; parts: ReturnType<typeof splitMeta> }[] = [
  { name: 'no meta', meta: null, parts: { contentType: null, mentions: [], trace: null, meta: null } },
  {
    name: 'only reserved members',
    meta: { $contentType: 'text/plain', $mentions: ['ab'] },
    parts: { contentType: 'text/plain', mentions: ['ab'], trace: null, meta: null },
  },
  {
    name: 'members of the caller beside reserved ones',
    meta: { $contentType: 'text/plain', build: 7 },
    parts: { contentType: 'text/plain', mentions: [], trace: null, meta: { build: 7 } },
  },
  {
    name: 'reserved members of a wrong type, from a dishonest sender',
    meta: { $contentType: 7, $mentions: ['ab', 7, null] },
    parts: { contentType: null, mentions: ['ab'], trace: null, meta: null },
  },
  {
    name: 'the trace of its send',
    meta: { $traceparent: traceparent, $tracestate: 'a=1', build: 7 },
    parts: { contentType: null, mentions: [], trace: { traceparent, tracestate: 'a=1' }, meta: { build: 7 } },
  },
  {
    name: 'a trace that is none, from a dishonest sender',
    meta: { $traceparent: { secret: 1 }, $tracestate: 'a=1' },
    parts: { contentType: null, mentions: [], trace: null, meta: null },
  },
  {
    name: 'what is shared with it, without its key',
    meta: { build: 7, $files: { ...files, enc: { ...enc, key: 'k'.repeat(43) } } },
    parts: { contentType: null, mentions: [], trace: null, meta: { build: 7, $files: { ...files, enc } } },
  },
  {
    name: 'an offer of a form that is not known, of which nothing is shown',
    meta: { $files: { v: 2, secret: 'k' } },
    parts: { contentType: null, mentions: [], trace: null, meta: { $files: null } },
  },
]

for (const { name, meta, parts } of rows) {
  test(`meta is told apart: ${name}`, () => {
    expect(splitMeta(meta)).toEqual(parts)
  })
}
