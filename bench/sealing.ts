/** Sealing and opening a direct message of 1 KiB, against nothing but the ciphers on the same bytes. One core. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { generateBoxKeyPair } from '@claudemesh/identity'
import { createIdSource } from '@claudemesh/protocol'
import { open, PairwiseKeys, RandomPool, seal } from '@claudemesh/sealing'
import type { Benchmark, Contest, Sample } from './benchmark.ts'

export const sealing: Benchmark = {
  name: 'sealing',
  limit: 'the ciphers of node:crypto alone on the same bytes, as often as the format needs them',
  figures: [
    {
      name: 'sealing',
      about: 'seal for recipient and sender, then open, of 1 KiB / ChaCha20-Poly1305 of node:crypto on the same bytes',
      target: { atLeast: 0.4 },
    },
  ],
  prepare,
}

const sliceMs = 400
const plaintext = randomBytes(1024)

function prepare(): Contest {
  const { sealAndOpen, header } = makeMessenger()
  let best = 0
  return {
    subject: () => {
      const sample = repeat(sealAndOpen)
      best = Math.max(best, sample['sealing'] ?? 0)
      return sample
    },
    limit: () => repeat(() => encipherAndDecipher(header)),
    notes: () => [`${Math.round(best).toLocaleString('en')} messages a second sealed and opened in the best round`],
  }
}

function repeat(work: () => void): Sample {
  const started = performance.now()
  let times = 0
  while (performance.now() - started < sliceMs) {
    for (let i = 0; i < 32; i += 1) work()
    times += 32
  }
  return { sealing: (times * 1000) / (performance.now() - started) }
}

function makeMessenger() {
  const nextId = createIdSource(() => Date.now())
  const [alice, bob] = [generateBoxKeyPair(), generateBoxKeyPair()]
  const [ofAlice, ofBob] = [alice, bob].map((box) => new PairwiseKeys({ box, max: 8 }))
  if (ofAlice === undefined || ofBob === undefined) throw new Error('two members have keys')
  const [meshId, aliceId, bobId] = [nextId(), randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const headerOf = (clientMessageId: string) =>
    ({
      meshId,
      sender: aliceId,
      senderEpoch: 0,
      clientMessageId,
      destination: { kind: 'dm', ref: bobId },
      replyTo: null,
      priority: 'next',
      recipientsEpoch: null,
    }) as const
  const recipients = [
    { memberId: bobId, boxKey: bob.publicKey },
    { memberId: aliceId, boxKey: alice.publicKey },
  ]
  const pool = new RandomPool()
  const sealAndOpen = () => {
    const header = headerOf(nextId())
    const sealed = seal({ header, plaintext, recipients, keys: ofAlice, random: (length) => pool.take(length) })
    const opening = open({ sealed, expected: header, senderBoxKey: () => alice.publicKey, keys: [ofBob] })
    if (!opening.ok || opening.plaintext.length !== plaintext.length) throw new Error('what was sealed does not open')
  }
  return { sealAndOpen, header: Buffer.from(JSON.stringify(headerOf(nextId())), 'utf8') }
}

const algorithm = 'chacha20-poly1305'
const options = { authTagLength: 16 }
const key = randomBytes(32)
const nonce = randomBytes(12)
const contentKey = randomBytes(32)
const binding = randomBytes(32)

/** The content and two wraps one way, the content and one wrap the other way: no message can do with less. */
function encipherAndDecipher(header: Buffer): void {
  const content = encipher(plaintext, header)
  const wraps = [encipher(contentKey, binding), encipher(contentKey, binding)]
  decipher(wraps[0] ?? content, binding)
  decipher(content, header)
}

interface Enciphered {
  readonly bytes: Buffer
  readonly tag: Buffer
}

function encipher(bytes: Buffer, associatedData: Buffer): Enciphered {
  const cipher = createCipheriv(algorithm, key, nonce, options)
  cipher.setAAD(associatedData, { plaintextLength: bytes.length })
  const enciphered = cipher.update(bytes)
  cipher.final()
  return { bytes: enciphered, tag: cipher.getAuthTag() }
}

function decipher({ bytes, tag }: Enciphered, associatedData: Buffer): void {
  const decipherer = createDecipheriv(algorithm, key, nonce, options)
  decipherer.setAAD(associatedData, { plaintextLength: bytes.length })
  decipherer.setAuthTag(tag)
  decipherer.update(bytes)
  decipherer.final()
}
