/**
 * The token that requests over TCP must carry: made at the first start and kept, so that clients need not read it anew.
 *
 * 1. A new token is on the disk before it is accepted.
 * 2. The one before is accepted for 60 s more, so that clients which have just read it are not turned away. A restart
 *    ends that.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { assertPrivateFile, writeFileAtomic } from '@claudemesh/storage'
import { replacedTokenMs, replacedTokensMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'

const tokenBytes = 32
const tokenRegExp = /^[A-Za-z0-9_-]{43}$/

export class LocalToken {
  readonly path: string
  readonly #runtime: Runtime
  #current: string
  #replaced: readonly { readonly token: string; readonly endsAtMonotonicMs: number }[] = []

  /** @throws MeshError unsafe_permissions | config_invalid */
  static open(path: string, runtime: Runtime): LocalToken {
    const present = readPresent(path)
    if (present === null) return new LocalToken({ path, runtime, token: makeToken(path) })
    if (tokenRegExp.test(present)) return new LocalToken({ path, runtime, token: present })
    throw new MeshError('config_invalid', {
      detail: `${path} does not hold a token`,
      hint: `Remove it and a new one is made: rm ${path}`,
    })
  }

  private constructor(o: { readonly path: string; readonly runtime: Runtime; readonly token: string }) {
    this.path = o.path
    this.#runtime = o.runtime
    this.#current = o.token
  }

  /** The tokens that are good now, the newest first. */
  accepted(): readonly string[] {
    const now = this.#runtime.monotonicMs()
    const replaced = this.#replaced.filter(({ endsAtMonotonicMs }) => endsAtMonotonicMs > now)
    return [this.#current, ...replaced.map(({ token }) => token)]
  }

  /**
   * Makes a new one.
   *
   * @returns until when the one before is accepted, in milliseconds since the epoch
   * @throws MeshError insufficient_storage | storage_failed; then nothing has changed
   */
  rotate(): { readonly previousExpiresAt: number } {
    const token = makeToken(this.path)
    const replaced = { token: this.#current, endsAtMonotonicMs: this.#runtime.monotonicMs() + replacedTokenMs }
    this.#replaced = [replaced, ...this.#replaced].slice(0, replacedTokensMax)
    this.#current = token
    return { previousExpiresAt: this.#runtime.now() + replacedTokenMs }
  }
}

function makeToken(path: string): string {
  const token = randomBytes(tokenBytes).toString('base64url')
  writeFileAtomic(path, `${token}\n`, { mode: 0o600 })
  return token
}

function readPresent(path: string): string | null {
  try {
    assertPrivateFile(path)
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
