/**
 * The history of this daemon, or why there is none: damage of it keeps nobody from sending and receiving, and what it does
 * not get meanwhile stays in the stores that it is made from.
 */
import { History, type HistoryOptions } from '@claudemesh/history'
import { MeshError } from '@claudemesh/protocol'

/** Codes with which a daemon starts without a history. */
const bearable: ReadonlySet<string> = new Set(['history_damaged', 'database_corrupt'])

export class HistoryStore {
  /** Null: it cannot be used. */
  readonly history: History | null
  /** Why not; null: it can. */
  readonly fault: MeshError | null

  /** @throws MeshError `schema_too_new`, `unsafe_permissions`, `insufficient_storage`, `storage_failed` */
  static open(options: HistoryOptions): HistoryStore {
    try {
      return new HistoryStore(History.open(options), null)
    } catch (error) {
      if (error instanceof MeshError && bearable.has(error.code)) return new HistoryStore(null, error)
      throw error
    }
  }

  private constructor(history: History | null, fault: MeshError | null) {
    this.history = history
    this.fault = fault
  }

  /** @throws MeshError why it cannot be used */
  get(): History {
    if (this.history !== null) return this.history
    throw this.fault ?? new Error('there is neither a history nor a reason')
  }

  get broken(): boolean {
    return this.history?.broken ?? false
  }

  close(): void {
    this.history?.close()
  }
}
