import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { argon2id } from 'hash-wasm'
import { describe, expect, test } from 'vitest'
import { openWithPassphrase, type PassphraseParams, sealWithPassphrase } from './passphrase.ts'

/** As cheap as Argon2 goes. */
const params: PassphraseParams = { memoryKib: 8, passes: 1, lanes: 1 }
const plaintext = Buffer.from('the root key')

/** From `src/test.c` of the reference implementation, github.com/P-H-C/phc-winner-argon2 (CC0 or Apache-2.0). */
const argon2Vectors = [
  { memoryKib: 65_536, passes: 2, lanes: 1, hash: '09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7' },
  { memoryKib: 256, passes: 2, lanes: 1, hash: '9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe' },
  { memoryKib: 256, passes: 2, lanes: 2, hash: '6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037' },
]

for (const { memoryKib, passes, lanes, hash } of argon2Vectors) {
  test(`Argon2id is that of its authors: ${memoryKib} KiB, ${passes} passes, ${lanes} lanes`, async () => {
    const costs = { memorySize: memoryKib, iterations: passes, parallelism: lanes }
    expect(await argon2id({ password: 'password', salt: 'somesalt', ...costs, hashLength: 32 })).toBe(hash)
  })
}

describe('what is sealed with a passphrase', () => {
  test('opens with it, whatever both are', async () => {
    const passphrases = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), passphrases, async (bytes, passphrase) => {
        const sealed = await sealWithPassphrase(bytes, passphrase, { params })
        expect(await openWithPassphrase(sealed, passphrase)).toEqual(Buffer.from(bytes))
      }),
    )
  })

  test('opens with no other passphrase', async () => {
    const sealed = await sealWithPassphrase(plaintext, 'correct horse', { params })
    for (const passphrase of ['', 'correct horse ', 'Correct horse', 'correct', 'correct horse\u0000']) {
      await expect(openWithPassphrase(sealed, passphrase), passphrase).rejects.toMatchObject({
        code: 'passphrase_wrong',
      })
    }
  })

  test('opens however its passphrase was typed', async () => {
    const sealed = await sealWithPassphrase(plaintext, 'schl\u00fcssel', { params })
    expect(await openWithPassphrase(sealed, 'schlu\u0308ssel')).toEqual(plaintext)
  })

  test('is other bytes every time', async () => {
    const once = await sealWithPassphrase(plaintext, 'passphrase', { params })
    const again = await sealWithPassphrase(plaintext, 'passphrase', { params })
    expect(once).toHaveLength(again.length)
    expect(once.equals(again)).toBe(false)
  })

  test('does not open with any single bit changed', async () => {
    const sealed = await sealWithPassphrase(plaintext, 'passphrase', { params })
    for (let bit = 0; bit < 8 * sealed.length; bit += 1) {
      const damaged = Buffer.from(sealed)
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      await expect(openWithPassphrase(damaged, 'passphrase'), `bit ${bit}`).rejects.toMatchObject({
        code: expect.stringMatching(/^passphrase_(wrong|file_invalid)$/),
      })
    }
  })

  test('does not open when part of it is missing', async () => {
    const sealed = await sealWithPassphrase(plaintext, 'passphrase', { params })
    for (let length = 0; length < sealed.length; length += 1) {
      await expect(openWithPassphrase(sealed.subarray(0, length), 'passphrase')).rejects.toMatchObject({
        code: expect.stringMatching(/^passphrase_(wrong|file_invalid)$/),
      })
    }
  })
})

describe('bytes that are no such file are told apart from a wrong passphrase', () => {
  test('any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        await expect(openWithPassphrase(bytes, 'passphrase')).rejects.toMatchObject({ code: 'passphrase_file_invalid' })
      }),
    )
  })

  const header = `{"kdf":"argon2id","lanes":1,"memory_kib":8,"nonce":"${'00'.repeat(24)}","passes":1,"salt":"${'00'.repeat(16)}","v":1}`
  const rows = [
    { name: 'another version of the bytes', header, version: 2 },
    { name: 'another version of the header', header: header.replace('"v":1', '"v":2') },
    { name: 'another function', header: header.replace('argon2id', 'argon2d') },
    { name: 'a number that begins with zero', header: header.replace('"lanes":1', '"lanes":01') },
    { name: 'no lanes', header: header.replace('"lanes":1', '"lanes":0') },
    { name: 'too many lanes', header: header.replace('"lanes":1', '"lanes":17') },
    { name: 'no passes', header: header.replace('"passes":1', '"passes":0') },
    { name: 'too many passes', header: header.replace('"passes":1', '"passes":9') },
    { name: 'less memory than Argon2 takes', header: header.replace('"memory_kib":8', '"memory_kib":7') },
    { name: 'less memory than its lanes take', header: header.replace('"lanes":1', '"lanes":2') },
    { name: 'more memory than a file may ask for', header: header.replace('"memory_kib":8', '"memory_kib":262145') },
    { name: 'a salt in capitals', header: header.replace('"salt":"0', '"salt":"A') },
    { name: 'a salt that is too short', header: header.replace('"salt":"00', '"salt":"') },
    { name: 'white space', header: header.replace(',', ', ') },
    { name: 'a member more', header: header.replace('}', ',"x":1}') },
    { name: 'a header that is too long', header: header + ' '.repeat(512) },
  ]
  for (const row of rows) {
    test(row.name, async () => {
      const bytes = frame(row.header, row.version ?? 1)
      await expect(openWithPassphrase(bytes, 'passphrase')).rejects.toMatchObject({ code: 'passphrase_file_invalid' })
    })
  }

  test('the rows differ from one that is read', async () => {
    await expect(openWithPassphrase(frame(header, 1), 'passphrase')).rejects.toMatchObject({ code: 'passphrase_wrong' })
  })
})

test('an empty passphrase is refused', async () => {
  await expect(sealWithPassphrase(plaintext, '', { params })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('costs that could not be opened again are refused', async () => {
  const rows = [
    { ...params, memoryKib: 7 },
    { ...params, memoryKib: 256 * 1024 + 1 },
    { ...params, passes: 0 },
    { ...params, passes: 1.5 },
    { ...params, lanes: 0 },
    { ...params, lanes: 2 },
  ]
  for (const row of rows) {
    await expect(sealWithPassphrase(plaintext, 'passphrase', { params: row })).rejects.toThrow(RangeError)
  }
})

function frame(header: string, version: number): Buffer {
  const start = Buffer.alloc(5)
  start.writeUInt8(version)
  start.writeUInt32BE(header.length, 1)
  return Buffer.concat([start, Buffer.from(header), randomBytes(40)])
}
