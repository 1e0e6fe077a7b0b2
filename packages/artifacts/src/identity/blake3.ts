/**
 * Which implementation of BLAKE3 this process uses: the native one where its binary is installed, else WebAssembly, else
 * JavaScript, which is correct and about a hundred times slower. Chosen once, when this module is loaded, and only
 * after it has given a known answer: a binary that computes something else must not name a single file.
 */
import { createRequire } from 'node:module'
import { blake3 as javascriptBlake3 } from '@noble/hashes/blake3.js'
import { createBLAKE3 } from 'hash-wasm'
import type { Hasher } from './hasher.ts'

export interface Blake3Provider {
  readonly name: 'native' | 'wasm' | 'javascript'
  readonly create: () => Hasher
}

// The published vector of 3,073 bytes, the first that needs more than one level of the tree.
const knownInput = Uint8Array.from({ length: 3073 }, (_, index) => index % 251)
const knownAnswer = '7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3'

/** Splitting the input shows that the state is carried from one call to the next. */
export function givesKnownAnswer(create: () => Hasher): boolean {
  const hasher = create()
  for (const [start, end] of [
    [0, 1],
    [1, 1024],
    [1024, 2049],
    [2049, 3073],
  ]) {
    hasher.update(knownInput.subarray(start, end))
  }
  return Buffer.from(hasher.digest()).toString('hex') === knownAnswer
}

function loadNative(): (() => Hasher) | null {
  let native: typeof import('@napi-rs/blake-hash')
  try {
    native = createRequire(import.meta.url)('@napi-rs/blake-hash') as typeof native
  } catch {
    // Not installed, or not for this platform: the next provider gives the same digests.
    return null
  }
  const { Blake3Hasher } = native
  return () => {
    const hasher = new Blake3Hasher()
    return { update: (chunk) => void hasher.update(chunk), digest: () => hasher.digestBuffer() }
  }
}

async function loadWasm(): Promise<(() => Hasher) | null> {
  // Each instance has a memory of its own, and making one is asynchronous; states are swapped in and out of a single one.
  try {
    const instance = await createBLAKE3(256)
    const start = instance.init().save()
    return () => {
      let state = start
      return {
        update(chunk) {
          instance.load(state)
          instance.update(chunk)
          state = instance.save()
        },
        digest() {
          instance.load(state)
          return instance.digest('binary')
        },
      }
    }
  } catch {
    // A host without WebAssembly: the last provider needs nothing.
    return null
  }
}

const loadJavascript = (): (() => Hasher) => () => {
  const hasher = javascriptBlake3.create()
  return { update: (chunk) => void hasher.update(chunk), digest: () => hasher.digest() }
}

/** Every provider that works here, best first; the last one always does. */
export async function loadBlake3Providers(): Promise<Blake3Provider[]> {
  const candidates: [Blake3Provider['name'], (() => Hasher) | null][] = [
    ['native', loadNative()],
    ['wasm', await loadWasm()],
    ['javascript', loadJavascript()],
  ]
  return candidates.flatMap(([name, create]) => (create !== null && givesKnownAnswer(create) ? [{ name, create }] : []))
}

const [best] = await loadBlake3Providers()
if (best === undefined) throw new Error('no implementation of BLAKE3 gives the published answer on this host')

/** The one that this process uses. A caller with a log warns when it is `javascript`. */
export const blake3Provider: Blake3Provider = best
