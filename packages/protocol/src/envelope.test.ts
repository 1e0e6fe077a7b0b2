import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, isCarriableText, type JsonObject } from './canonical-json.ts'
import { decodeEnvelope, encodeEnvelope } from './envelope.ts'

const text = fc.string({ unit: 'grapheme' }).filter(isCarriableText)
const meta = fc.dictionary(text, fc.oneof(text, fc.boolean(), fc.integer(), fc.constant(null)), { maxKeys: 6 })

function withMeta(metaText: string | Uint8Array, body = ''): Buffer {
  const bytes = Buffer.from(metaText as string)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes, Buffer.from(body)])
}

describe('an envelope', () => {
  test('comes back as it went in: any meta, any bytes', () => {
    fc.assert(
      fc.property(meta, fc.uint8Array({ maxLength: 500 }), (sent, body) => {
        const bytes = encodeEnvelope({ metaCanonicalJson: canonicalJson(sent as JsonObject), body })
        const opened = decodeEnvelope(bytes)
        expect(opened?.meta === null ? null : canonicalJson(opened?.meta ?? null)).toBe(
          canonicalJson(sent as JsonObject),
        )
        expect(opened?.body.equals(body)).toBe(true)
      }),
    )
  })

  test('without meta says so', () => {
    const opened = decodeEnvelope(encodeEnvelope({ metaCanonicalJson: '', body: Buffer.from('hello') }))
    expect(opened).toEqual({ meta: null, body: Buffer.from('hello') })
  })

  test('costs four bytes beside its content', () => {
    expect(encodeEnvelope({ metaCanonicalJson: '{"ä":1}', body: Buffer.alloc(10) }).length).toBe(4 + 8 + 10)
  })

  test('is read where it stands in a larger buffer', () => {
    const bytes = encodeEnvelope({ metaCanonicalJson: '{"a":1}', body: Buffer.from('hello') })
    const larger = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')])
    expect(decodeEnvelope(larger.subarray(6, 6 + bytes.length))).toEqual({ meta: { a: 1 }, body: Buffer.from('hello') })
  })
})

describe('bytes that are no envelope', () => {
  const rows: { name: string; bytes: Uint8Array }[] = [
    { name: 'none', bytes: Buffer.alloc(0) },
    { name: 'too few for a length', bytes: Buffer.alloc(3) },
    { name: 'a length beyond the end', bytes: Buffer.from([0, 0, 0, 1]) },
    { name: 'a length of four gigabytes', bytes: Buffer.alloc(100, 0xff) },
    { name: 'meta that is not JSON', bytes: withMeta('{') },
    { name: 'meta that is an array', bytes: withMeta('[]') },
    { name: 'meta that is null', bytes: withMeta('null') },
    { name: 'meta that is a text', bytes: withMeta('"a"') },
    { name: 'meta that is not UTF-8', bytes: withMeta(Buffer.from('7b2261223a22ff227d', 'hex')) },
    { name: 'meta with a byte order mark', bytes: withMeta('\ufeff{}') },
  ]
  test.each(rows)('$name', ({ bytes }) => {
    expect(decodeEnvelope(bytes)).toBeNull()
  })

  test('are told apart without throwing, whatever they are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void decodeEnvelope(bytes)))
    const prefixed = fc.uint8Array({ maxLength: 60 }).map((bytes) => withMeta(bytes))
    fc.assert(fc.property(prefixed, (bytes) => void decodeEnvelope(bytes)))
  })
})
