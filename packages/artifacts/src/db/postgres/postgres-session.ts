import { type Session as Connection, isRetryable, prepare, type Statement } from '@claudemesh/storage/postgres'
import { type ContentAddress, toDigest } from '../../identity/content-address.ts'
import type { Attempt, Session, SqlValue, Tx } from '../spi.ts'
import { boundaries, lockAddresses, lockPackages } from './statements.ts'

/** Statements by their text; there are as many as the sources have. */
const statements = new Map<string, Statement>()

function statementOf(text: string): Statement {
  let statement = statements.get(text)
  if (statement === undefined) {
    statement = prepare(text)
    statements.set(text, statement)
  }
  return statement
}

export class PostgresSession implements Session {
  protected readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  query<Row>(text: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.connection.query<Row>(statementOf(text), values)
  }

  execute(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return this.connection.execute(statementOf(text), values)
  }
}

export class PostgresTx extends PostgresSession implements Tx {
  async lockAddresses(addresses: readonly ContentAddress[]): Promise<void> {
    if (addresses.length === 0) return
    const keys = [...new Set(addresses.map(lockKey))].sort((a, b) => (a < b ? -1 : 1))
    await this.connection.execute(lockAddresses, [keys.map(String)])
  }

  async lockPackages(packageIds: readonly string[]): Promise<void> {
    if (packageIds.length > 0) await this.connection.execute(lockPackages, [[...new Set(packageIds)]])
  }

  async attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
    await this.connection.execute(boundaries.savepoint)
    try {
      const value = await work()
      await this.connection.execute(boundaries.release)
      return { ok: true, value }
    } catch (error) {
      // Others got in the way: all of it has to be run again.
      if (isRetryable(error)) throw error
      // On a connection that was lost this fails, and so does the transaction.
      await this.connection.execute(boundaries.undo)
      await this.connection.execute(boundaries.release)
      return { ok: false, error }
    }
  }
}

/** The first eight bytes of the digest, as the signed number that they are. */
function lockKey(address: ContentAddress): bigint {
  return BigInt.asIntN(64, BigInt(`0x${toDigest(address).hex.slice(0, 16)}`))
}
