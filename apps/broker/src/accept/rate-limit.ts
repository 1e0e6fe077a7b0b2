/** The limits of the embedded engine, in memory: that of one window. When the next begins, everything is forgotten. */
import type { RateLimiter, RateLimits, RateVerdict } from '../store/rates.ts'
import type { MessageKey } from '../store/rows.ts'

interface MeshCount {
  count: number
  /** Sender to the ids that it was let through with. */
  readonly idsOf: Map<string, Set<string>>
}

export class RateLimit implements RateLimiter {
  readonly #options: RateLimits & { readonly now: () => number }
  #window = Number.NEGATIVE_INFINITY
  #meshes = new Map<string, MeshCount>()

  /** @param options.now monotonic milliseconds */
  constructor(options: RateLimits & { readonly now: () => number }) {
    this.#options = options
  }

  async take(keys: readonly MessageKey[]): Promise<readonly RateVerdict[]> {
    const { now, windowMs } = this.#options
    const at = now()
    this.#turn(Math.floor(at / windowMs))
    const refusal = { ok: false, retryAfterMs: Math.ceil((this.#window + 1) * windowMs - at) } as const
    return keys.map((key) => (this.#letsThrough(key) ? passed : refusal))
  }

  /** Nothing is left of a window when the next one begins. */
  async forget(): Promise<number> {
    return 0
  }

  #letsThrough({ meshId, sender, clientMessageId }: MessageKey): boolean {
    const mesh = this.#meshes.get(meshId) ?? { count: 0, idsOf: new Map() }
    const ids = mesh.idsOf.get(sender) ?? new Set()
    if (ids.has(clientMessageId)) return true
    if (ids.size >= this.#options.member || mesh.count >= this.#options.mesh) return false
    ids.add(clientMessageId)
    mesh.idsOf.set(sender, ids)
    mesh.count += 1
    this.#meshes.set(meshId, mesh)
    return true
  }

  #turn(window: number): void {
    if (window === this.#window) return
    this.#window = window
    this.#meshes = new Map()
  }
}

const passed = { ok: true } as const
