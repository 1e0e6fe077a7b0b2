/**
 * What the control plane asks of a database (06 §6, §7). Two engines keep it; everything above is written once, with
 * statements that both of them take: `$1`, `$2` for parameters, names without a schema.
 */
import type { ContentAddress } from '../identity/content-address.ts'

export type SqlValue = null | boolean | number | string | Uint8Array

/** One connection. What it throws is the engine's own error; whoever opened the connection translates it. */
export interface Session {
  /** Booleans come back as the engine writes them (see `isTrue`), BIGINT as a number, bytes as a Buffer. */
  query<Row>(text: string, values?: readonly SqlValue[]): Promise<readonly Row[]>
  /** @returns how many rows were changed */
  execute(text: string, values?: readonly SqlValue[]): Promise<number>
}

/** What became of one part of a transaction that fails alone. */
export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

/**
 * A write transaction. Locks are taken in one order by everybody: addresses, packages, the head of the log; each at most
 * once in a transaction, and only after all that can fail.
 */
export interface Tx extends Session {
  /** Until the end of the transaction nobody else publishes, references or deletes the bytes of these addresses. */
  lockAddresses(addresses: readonly ContentAddress[]): Promise<void>
  /** Until the end of the transaction nobody else changes these packages. */
  lockPackages(packageIds: readonly string[]): Promise<void>
  /**
   * Runs a part that is undone alone when it throws.
   *
   * @throws what ended the whole transaction
   */
  attempt<T>(run: () => Promise<T>): Promise<Attempt<T>>
}

/** What was committed when it was first read from; nothing else is seen. */
export interface Snapshot {
  readonly session: Session
  close(): Promise<void>
}

/** Wakes whoever follows the log. A hint: what counts is what is read. */
export interface Listener {
  /** Resolves when something may have been committed since the last time it did, or after a while. Never rejects. */
  wait(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface Database {
  readonly engine: 'sqlite' | 'postgres'

  /**
   * Reads one snapshot. `run` must be short: it may hold up others.
   *
   * @throws ArtifactError `database_unavailable`
   */
  read<T>(run: (session: Session) => Promise<T>): Promise<T>

  /** As `read`, on a connection of its own, until it is closed. */
  openSnapshot(): Promise<Snapshot>

  /**
   * Runs a transaction, more than once if others get in its way: outside of the database `run` changes only what may be
   * done twice. It is durable when the promise is fulfilled.
   *
   * @throws ArtifactError `busy`, `database_unavailable`, `insufficient_storage`
   */
  write<T>(run: (tx: Tx) => Promise<T>): Promise<T>

  /**
   * Replaces the contents of all views by what `fill` writes into empty ones. Readers see the old contents until then.
   * `begin`: the views are empty. `catch_up`: what was filled is still there, and nobody else writes any more.
   *
   * @throws ArtifactError `busy`: somebody else does so; what `fill` throws, and the views are as they were
   */
  rebuild(fill: (session: Session, phase: 'begin' | 'catch_up') => Promise<void>): Promise<void>

  listen(): Promise<Listener>
  /** Tells listeners of every process that the log has grown. */
  announce(lastSequence: number): void
  close(): Promise<void>
}

/** A boolean column's value, as either engine gives it. */
export function isTrue(value: unknown): boolean {
  return value === true || value === 1
}
