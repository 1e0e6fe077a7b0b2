/**
 * Bytes under a passphrase, for what leaves a host as a file: Argon2id, then XChaCha20-Poly1305.
 *
 *     version 1          1
 *     header length      4     big-endian
 *     header                   JCS {v, kdf: "argon2id", memory_kib, passes, lanes, salt, nonce}; salt 16 and nonce 24 in hex
 *     ciphertext               with its tag of 16; associated data: all bytes before it
 *
 * 1. What a file says of its own making is authentic once it opens. Until then it is bounded: a forged file can cost
 *    256 MiB and some seconds, not more.
 * 2. Two files have different salts: guesses at one passphrase do not count for two.
 * 3. A passphrase is the same however it was typed: its Unicode form NFC is what counts.
 */
import { randomBytes } from 'node:crypto'
import { canonicalJson, MeshError } from '@claudemesh/protocol'
import { decrypt, encrypt, keyBytes, nonceBytes, tagBytes } from './xchacha.ts'

/** The cost of one guess (RFC 9106 §3.1). */
export interface PassphraseParams {
  /** In KiB. */
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
}

/** RFC 9106 §4, second recommended option: a third of a second. */
const defaultParams: PassphraseParams = { memoryKib: 64 * 1024, passes: 3, lanes: 4 }

/** What is accepted, of our own and of a file. Argon2 itself wants at least 8 KiB per lane. */
const bounds = {
  memoryKib: { min: 8, max: 256 * 1024 },
  passes: { min: 1, max: 8 },
  lanes: { min: 1, max: 16 },
} as const satisfies Record<keyof PassphraseParams, { min: number; max: number }>

/**
 * @param options.params other costs than the default, which a test may lower
 * @throws MeshError `invalid_request` when the passphrase is empty
 */
export async function sealWithPassphrase(
  plaintext: Uint8Array,
  passphrase: string,
  options: { readonly params?: PassphraseParams; readonly random?: (length: number) => Buffer } = {},
): Promise<Buffer> {
  const { params = defaultParams, random = randomBytes } = options
  if (passphrase === '') throw new MeshError('invalid_request', { detail: 'the passphrase is empty' })
  if (!areWithinBounds(params)) throw new RangeError('the costs of the passphrase are out of bounds')
  const header = { params, salt: random(saltBytes), nonce: random(nonceBytes) }
  const preamble = writePreamble(header)
  const key = await stretch(passphrase, header)
  return Buffer.concat([preamble, encrypt({ key, nonce: header.nonce, associatedData: preamble, plaintext })])
}

/**
 * @throws MeshError `passphrase_wrong` when it is another passphrase or the bytes were changed, which look the same;
 *   `passphrase_file_invalid` when the bytes are not what `sealWithPassphrase` writes
 */
export async function openWithPassphrase(bytes: Uint8Array, passphrase: string): Promise<Buffer> {
  const file = readFile(bytes)
  if (file === null) throw new MeshError('passphrase_file_invalid')
  // Nothing is sealed with it.
  if (passphrase === '') throw new MeshError('passphrase_wrong')
  const { header, preamble, ciphertext } = file
  const key = await stretch(passphrase, header)
  const plaintext = decrypt({ key, nonce: header.nonce, associatedData: preamble, ciphertext })
  if (plaintext === null) throw new MeshError('passphrase_wrong')
  return plaintext
}

interface FileHeader {
  readonly params: PassphraseParams
  readonly salt: Buffer
  readonly nonce: Buffer
}

const version = 1
const headerStart = 5
const saltBytes = 16

function writePreamble({ params, salt, nonce }: FileHeader): Buffer {
  const header = canonicalJson({
    v: version,
    kdf: 'argon2id',
    memory_kib: params.memoryKib,
    passes: params.passes,
    lanes: params.lanes,
    salt: salt.toString('hex'),
    nonce: nonce.toString('hex'),
  })
  const start = Buffer.alloc(headerStart)
  start.writeUInt8(version)
  start.writeUInt32BE(header.length, 1)
  return Buffer.concat([start, Buffer.from(header, 'latin1')])
}

function readFile(bytes: Uint8Array): { header: FileHeader; preamble: Buffer; ciphertext: Buffer } | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < headerStart || buffer.readUInt8() !== version) return null
  const headerLength = buffer.readUInt32BE(1)
  const ciphertextStart = headerStart + headerLength
  if (ciphertextStart + tagBytes > buffer.length) return null
  const preamble = buffer.subarray(0, ciphertextStart)
  const header = readHeader(preamble.toString('latin1', headerStart))
  if (header === null || !areWithinBounds(header.params)) return null
  // Writing it again finds everything that reading passes over.
  return writePreamble(header).equals(preamble)
    ? { header, preamble, ciphertext: buffer.subarray(ciphertextStart) }
    : null
}

const headerRegExp =
  /^\{"kdf":"argon2id","lanes":(\d{1,10}),"memory_kib":(\d{1,10}),"nonce":"([0-9a-f]{48})","passes":(\d{1,10}),"salt":"([0-9a-f]{32})","v":1\}$/

/** The canonical text has one form, so that an expression can read it. */
function readHeader(text: string): FileHeader | null {
  const [, lanes, memoryKib, nonce, passes, salt] = headerRegExp.exec(text) ?? []
  if (nonce === undefined || salt === undefined) return null
  return {
    params: { memoryKib: Number(memoryKib), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'hex'),
    nonce: Buffer.from(nonce, 'hex'),
  }
}

function areWithinBounds(params: PassphraseParams): boolean {
  const { memoryKib, passes, lanes } = params
  const within = (value: number, { min, max }: { min: number; max: number }) =>
    Number.isInteger(value) && value >= min && value <= max
  return (
    within(memoryKib, bounds.memoryKib) &&
    within(passes, bounds.passes) &&
    within(lanes, bounds.lanes) &&
    memoryKib >= 8 * lanes
  )
}

async function stretch(passphrase: string, { params, salt }: FileHeader): Promise<Uint8Array> {
  // Backups are rare, and whoever makes none need not have it in memory.
  const { argon2id } = await import('hash-wasm')
  return argon2id({
    password: Buffer.from(passphrase.normalize('NFC'), 'utf8'),
    salt,
    memorySize: params.memoryKib,
    iterations: params.passes,
    parallelism: params.lanes,
    hashLength: keyBytes,
    outputType: 'binary',
  })
}
