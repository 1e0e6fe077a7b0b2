/** The SQL of the engine itself. */
import type { Database, Statement } from '@claudemesh/storage'

export const boundaries = {
  beginSnapshot: 'BEGIN DEFERRED',
  end: 'COMMIT',
  rollback: 'ROLLBACK',
  savepoint: 'SAVEPOINT part',
  release: 'RELEASE part',
  undo: 'ROLLBACK TO part',
} as const

/** A lock that somebody else holds is answered at once: waiting for it here would keep the event loop. */
export function neverWait(db: Database): void {
  db.pragma('busy_timeout = 0')
}

/** Runs something, outside of any transaction, while no reference is checked when a row is written. */
export async function withoutReferences<T>(db: Database, work: () => Promise<T>): Promise<T> {
  db.pragma('foreign_keys = OFF')
  try {
    return await work()
  } finally {
    db.pragma('foreign_keys = ON')
  }
}

/** @throws Error a row refers to one that is not there */
export function assertReferences(db: Database): void {
  const [dangling] = db.pragma('foreign_key_check') as readonly { readonly table: string; readonly parent: string }[]
  if (dangling !== undefined) throw new Error(`a row of ${dangling.table} refers to none of ${dangling.parent}`)
}

/** Changes with every commit of another connection, also of another process. */
export function readDataVersion(db: Database): number {
  return db.pragma('data_version', { simple: true }) as number
}

/** Gives statements the function that PostgreSQL has from its migrations: a member of a metadata map as text. */
export function defineFunctions(db: Database): void {
  db.function('metadata_text', { deterministic: true }, (metadata: unknown, member: unknown) => {
    if (typeof metadata !== 'string' || typeof member !== 'string') return null
    const map = JSON.parse(metadata) as Readonly<Record<string, unknown>>
    const value = Object.hasOwn(map, member) ? map[member] : null
    return value === null || typeof value === 'object' ? null : String(value)
  })
}

/** With a bare parameter as its limit a statement would be compiled anew each time that it runs. */
export function prepare(db: Database, text: string): Statement {
  return db.prepare(text.replaceAll(/\bLIMIT (?=\?)/g, 'LIMIT +'))
}

/** Begins or ends something on a connection. */
export function run(db: Database, text: string): void {
  db.prepare(text).run()
}
