import { limits } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { helloBytes, NonceRegistry, originOf, signHello, verifyHello } from './hello.ts'
import { generateSigningKeyPair } from './keys.ts'

const keys = generateSigningKeyPair()
const claims = {
  origin: 'wss://broker.example:443',
  meshId: '01JD8Z6K3V0000000000000000',
  memberId: keys.publicKey,
  nonce: 'n'.repeat(43),
  options: { instance_id: '01JD8Z6K3V0000000000000001' },
}
const { publicKey } = keys
const signature = signHello({ ...claims, keys })

describe('a hello', () => {
  test('is verified by the key that signed it', () => {
    expect(verifyHello({ ...claims, signature, publicKey })).toBe(true)
  })

  const refused = [
    { name: 'to another broker', change: { origin: 'wss://other.example:443' } },
    { name: 'to the same host in clear', change: { origin: 'ws://broker.example:443' } },
    { name: 'to another mesh', change: { meshId: '01JD8Z6K3V0000000000000002' } },
    { name: 'of another member', change: { memberId: '00'.repeat(32) } },
    { name: 'to another challenge', change: { nonce: 'm'.repeat(43) } },
    { name: 'with other options', change: { options: { instance_id: '01JD8Z6K3V0000000000000003' } } },
    { name: 'under another key', change: { publicKey: generateSigningKeyPair().publicKey } },
    { name: 'with a damaged signature', change: { signature: `A${signature.slice(1, -1)}A` } },
    { name: 'with a signature that is none', change: { signature: '' } },
    { name: 'with a zero byte in its origin', change: { origin: 'wss://broker.example:443\u0000' } },
  ]
  for (const row of refused) {
    test(`is refused ${row.name}`, () => {
      expect(verifyHello({ ...claims, signature, publicKey, ...row.change })).toBe(false)
    })
  }

  test('has no field that could pass for two', () => {
    for (const field of ['origin', 'meshId', 'memberId', 'nonce']) {
      expect(() => helloBytes({ ...claims, [field]: 'a\u0000b' })).toThrow('U+0000')
    }
  })
})

describe('the origin of a broker URL', () => {
  const rows = [
    { url: 'ws://localhost:7777/v1/ws', origin: 'ws://localhost:7777' },
    { url: 'ws://127.0.0.1:7777', origin: 'ws://127.0.0.1:7777' },
    { url: 'ws://[::1]:7777/v1/ws', origin: 'ws://[::1]:7777' },
    { url: 'ws://broker.example', origin: 'ws://broker.example:80' },
    { url: 'WSS://Broker.Example/V1/ws?x=1#y', origin: 'wss://broker.example:443' },
    { url: 'wss://broker.example:443/', origin: 'wss://broker.example:443' },
    { url: 'wss://broker.example:80/', origin: 'wss://broker.example:80' },
    { url: 'ws://broker.example:443/', origin: 'ws://broker.example:443' },
  ]
  for (const row of rows) {
    test(`of ${row.url} is ${row.origin}`, () => {
      expect(originOf(row.url)).toBe(row.origin)
    })
  }

  for (const url of ['', 'broker.example', 'http://broker.example', 'ws://', 'ws://a b', 'wss://user:word@b.example']) {
    test(`is refused for ${JSON.stringify(url)}`, () => {
      expect(() => originOf(url)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
    })
  }
})

describe('a nonce', () => {
  test('is 32 random bytes', () => {
    const registry = new NonceRegistry({ now: () => 0 })
    const nonces = Array.from({ length: 100 }, () => registry.issue())
    expect(new Set(nonces).size).toBe(100)
    for (const nonce of nonces) expect(Buffer.from(nonce, 'base64url')).toHaveLength(32)
  })

  test('is good once', () => {
    const registry = new NonceRegistry({ now: () => 0 })
    const nonce = registry.issue()
    expect(registry.use(nonce)).toBe(true)
    expect(registry.use(nonce)).toBe(false)
  })

  test('is good for 30 seconds, however many others are issued meanwhile', () => {
    let now = 0
    const registry = new NonceRegistry({ now: () => now })
    const early = registry.issue()
    const late = registry.issue()
    now = limits.nonceLifeMs - 1
    registry.issue()
    expect(registry.use(early)).toBe(true)
    now = limits.nonceLifeMs
    expect(registry.use(late)).toBe(false)
  })

  test('that nobody issued is none', () => {
    expect(new NonceRegistry({ now: () => 0 }).use('n'.repeat(43))).toBe(false)
  })

  test('gives way when strangers ask for more than are kept', () => {
    const registry = new NonceRegistry({ now: () => 0 })
    const first = registry.issue()
    let last = first
    for (let index = 0; index < 65_536; index += 1) last = registry.issue()
    expect(registry.use(first)).toBe(false)
    expect(registry.use(last)).toBe(true)
  })
})
