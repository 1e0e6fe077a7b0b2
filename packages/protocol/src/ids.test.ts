import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createIdSource, isClientMessageId, isMemberId, isUlid, parseIdempotencyKey } from './ids.ts'

interface Verdicts {
  readonly accepted: readonly string[]
  readonly rejected: readonly string[]
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/ids.json', import.meta.url), 'utf8')) as {
  readonly client_message_id: Verdicts
  readonly ulid: Verdicts
  readonly member_id: Verdicts
  readonly idempotency_key: readonly { readonly header: string; readonly key: string | null }[]
}

describe('which texts are ids', () => {
  const kinds: { name: string; check: (text: string) => boolean; verdicts: Verdicts }[] = [
    { name: 'client_message_id', check: isClientMessageId, verdicts: vectors.client_message_id },
    { name: 'ULID', check: isUlid, verdicts: vectors.ulid },
    { name: 'member id', check: isMemberId, verdicts: vectors.member_id },
  ]
  for (const { name, check, verdicts } of kinds) {
    test.each(verdicts.accepted.map((text) => [text]))(`%j is a ${name}`, (text) => {
      expect(check(text)).toBe(true)
    })
    test.each(verdicts.rejected.map((text) => [text]))(`%j is no ${name}`, (text) => {
      expect(check(text)).toBe(false)
    })
  }

  test('every visible ASCII character may be in a client_message_id, and no other character', () => {
    for (let code = 0; code <= 0x2ff; code += 1) {
      expect(isClientMessageId(`a${String.fromCharCode(code)}b`), `0x${code.toString(16)}`).toBe(
        code >= 0x21 && code <= 0x7e,
      )
    }
  })
})

describe('the Idempotency-Key header', () => {
  test.each(vectors.idempotency_key)('$header is read as $key', ({ header, key }) => {
    expect(parseIdempotencyKey(header)).toBe(key)
  })

  test('any key comes back from its quoted form', () => {
    const character = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code))
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 255 }), (key) => {
        expect(parseIdempotencyKey(`"${key.replace(/["\\]/g, '\\$&')}"`)).toBe(key)
      }),
    )
  })

  test('any bare key comes back as it is, unless it begins with a quotation mark', () => {
    const character = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
    fc.assert(
      fc.property(fc.string({ unit: character, minLength: 1, maxLength: 255 }), (key) => {
        fc.pre(!key.startsWith('"'))
        expect(parseIdempotencyKey(key)).toBe(key)
      }),
    )
  })

  test('whatever a client sends, reading it ends soon and does not throw', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (header) => void parseIdempotencyKey(header)))
    expect(parseIdempotencyKey(`"${'\\'.repeat(100_001)}"`)).toBeNull()
    expect(parseIdempotencyKey(`"${'\\"'.repeat(50_000)}`)).toBeNull()
  })
})

describe('an id source', () => {
  test('makes ULIDs', () => {
    const next = createIdSource(() => 1_700_000_000_000)
    for (let index = 0; index < 100; index += 1) expect(isUlid(next())).toBe(true)
  })

  test('makes ids that sort in order of making, however the clock steps', () => {
    const times = fc.array(fc.integer({ min: 0, max: 2 ** 48 - 1 }), { minLength: 2, maxLength: 50 })
    fc.assert(
      fc.property(times, (clock) => {
        let tick = 0
        const next = createIdSource(() => clock[tick++] ?? 0)
        const ids = clock.map(() => next())
        expect(ids.toSorted()).toEqual(ids)
        expect(new Set(ids).size).toBe(ids.length)
      }),
    )
  })

  test('makes other ids than another source at the same time', () => {
    const one = createIdSource(() => 1_700_000_000_000)
    const two = createIdSource(() => 1_700_000_000_000)
    expect(one()).not.toBe(two())
  })
})
