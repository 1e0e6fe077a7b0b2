import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { blake3Provider, givesKnownAnswer, loadBlake3Providers } from './blake3.ts'

interface Vectors {
  readonly cases: readonly { readonly input_len: number; readonly hash: string }[]
}

const url = new URL('../../vectors/blake3/test_vectors.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(url, 'utf8')) as Vectors
const providers = await loadBlake3Providers()

function input(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251)
}

test('WebAssembly and JavaScript work on every host, and the first provider is used', () => {
  expect(providers.map(({ name }) => name)).toEqual(expect.arrayContaining(['wasm', 'javascript']))
  expect(blake3Provider.name).toBe(providers[0]?.name)
})

test('a provider that forgets what it was given before is not used', () => {
  const [{ create } = blake3Provider] = providers
  expect(givesKnownAnswer(create)).toBe(true)
  expect(
    givesKnownAnswer(() => {
      let hasher = create()
      return {
        update(chunk) {
          hasher = create()
          hasher.update(chunk)
        },
        digest: () => hasher.digest(),
      }
    }),
  ).toBe(false)
})

describe.each(providers)('BLAKE3, $name', ({ create }) => {
  test.each(cases.map(({ input_len, hash }) => [input_len, hash.slice(0, 64)] as const))(
    'gives the published answer for %i bytes, in one piece and in pieces',
    (length, expected) => {
      const bytes = input(length)
      for (const piece of [length + 1, 1023, 4097]) {
        const hasher = create()
        for (let start = 0; start < length; start += piece) hasher.update(bytes.subarray(start, start + piece))
        expect(Buffer.from(hasher.digest()).toString('hex')).toBe(expected)
      }
    },
  )

  test('two digests that are computed at the same time do not disturb each other', () => {
    const first = create()
    const second = create()
    first.update(input(1025).subarray(0, 700))
    second.update(input(3))
    first.update(input(1025).subarray(700))
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    const answer = (length: number) => cases.find(({ input_len }) => input_len === length)?.hash.slice(0, 64)
    expect(hex(second.digest())).toBe(answer(3))
    expect(hex(first.digest())).toBe(answer(1025))
  })
})
