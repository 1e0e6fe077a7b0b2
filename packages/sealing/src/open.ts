/**
 * Opening: the inverse of sealing, for one recipient who trusts neither the broker nor the other recipients.
 *
 * What holds when a message opens:
 * 1. The member that the delivery names as its sender sealed these bytes for this recipient, all of them.
 * 2. Its header says what the delivery claims.
 * 3. Every recipient that can open these bytes gets the same plaintext.
 *
 * It never throws on what others sent, keeps no record of messages opened before (the inbox does), and cannot prove to a
 * third party who the sender was: whoever can open a message could also have made it.
 */
import { timingSafeEqual } from 'node:crypto'
import { decodeHeader, type ExpectedHeader, matches, type SealHeader } from './header.ts'
import type { PairwiseKey, PairwiseKeys } from './pairwise-keys.ts'
import { deriveSeal, type ReadParts, readSealed, type Wrap } from './sealed-bytes.ts'
import { bindingOf, unwrapKey } from './wrap.ts'
import { decrypt } from './xchacha.ts'

/**
 * Why a message does not open.
 *
 * - `malformed`: the bytes are no sealed message of this version.
 * - `header_mismatch`: the delivery claims something else than the sender wrote.
 * - `sender_unknown`: no box key is known of the sender at that epoch; it may be after a refresh of the directory.
 * - `not_a_recipient`: it was not sealed for any of these keys.
 * - `not_authentic`: the sender did not seal these bytes.
 */
export type OpeningFault = 'malformed' | 'header_mismatch' | 'sender_unknown' | 'not_a_recipient' | 'not_authentic'

export type Opening =
  | { readonly ok: true; readonly plaintext: Buffer; readonly header: SealHeader }
  | { readonly ok: false; readonly reason: OpeningFault }

/**
 * Opens one message.
 *
 * @param input.expected what the delivery claims
 * @param input.senderBoxKey the X25519 key (hex) that a verified chain gives the member at an epoch
 * @param input.keys of the current box key first, then of archived ones
 */
export function open(input: {
  readonly sealed: Uint8Array
  readonly expected: ExpectedHeader
  readonly senderBoxKey: (memberId: string, epoch: number) => string | null
  readonly keys: readonly PairwiseKeys[]
}): Opening {
  const parts = readSealed(input.sealed)
  const header = parts === null ? null : decodeHeader(parts.header)
  if (parts === null || header === null) return { ok: false, reason: 'malformed' }
  if (!matches(header, input.expected)) return { ok: false, reason: 'header_mismatch' }
  const senderKey = input.senderBoxKey(header.sender, header.senderEpoch)
  if (senderKey === null) return { ok: false, reason: 'sender_unknown' }
  const candidates = findWraps(parts, input.keys)
  if (candidates.length === 0) return { ok: false, reason: 'not_a_recipient' }
  const plaintext = openFirst(parts, candidates, senderKey)
  return plaintext === null ? { ok: false, reason: 'not_authentic' } : { ok: true, plaintext, header }
}

/**
 * Wraps that are tried with one key. A sender makes one; more of them under one key id are a collision, or meant to keep
 * the recipient busy: 512 take a hundred times as long as one.
 */
const wrapsTriedMax = 4

/** A wrap and the keys that its key id names. A key id is short and public: several wraps may have the same. */
interface Candidate {
  readonly wrap: Wrap
  readonly keys: PairwiseKeys
}

function findWraps(parts: ReadParts, keys: readonly PairwiseKeys[]): readonly Candidate[] {
  return keys.flatMap((own) => {
    const wraps = parts.wraps.filter((wrap) => wrap.keyId.equals(own.keyId))
    return wraps.slice(0, wrapsTriedMax).map((wrap) => ({ wrap, keys: own }))
  })
}

function openFirst(parts: ReadParts, candidates: readonly Candidate[], senderKey: string): Buffer | null {
  const binding = bindingOf(parts)
  for (const { wrap, keys } of candidates) {
    const key = keys.keyFor(senderKey)
    const plaintext = key === null ? null : openWrap(parts, { wrap, key, binding })
    if (plaintext !== null) return plaintext
  }
  return null
}

function openWrap(parts: ReadParts, input: { wrap: Wrap; key: PairwiseKey; binding: Buffer }): Buffer | null {
  const contentKey = unwrapKey(input)
  if (contentKey === null || !timingSafeEqual(deriveSeal(contentKey, parts.digest), parts.seal)) return null
  return decrypt({
    key: contentKey,
    nonce: parts.nonce,
    associatedData: parts.header,
    ciphertext: parts.ciphertext,
  })
}
