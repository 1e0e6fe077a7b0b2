/** The limit of the broker over PostgreSQL: `pgbench` inserting the rows of a message into its tables. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { insertScript, likeRows } from './statements.ts'

const run = promisify(execFile)

/** The tables in which an accepted message leaves a row. */
const tables = ['client_message_dedupe', 'topic_message', 'message_history', 'delivery_queue', 'mention_index'] as const

interface PgbenchOptions {
  /** Where it is. */
  readonly program: string
  /** Of a database with the broker's tables and at least one message in them. */
  readonly url: string
  /** Messages in a transaction. */
  readonly batch: number
}

export class Pgbench {
  readonly #options: PgbenchOptions & { readonly script: string }

  static async open(options: PgbenchOptions): Promise<Pgbench> {
    const client = new pg.Client({ connectionString: options.url })
    await client.connect()
    try {
      const columnsOf = new Map<string, readonly string[]>()
      for (const table of tables) {
        await client.query(likeRows.keep(table))
        const { rows } = await client.query<{ name: string }>(likeRows.columns, [table])
        columnsOf.set(
          table,
          rows.map(({ name }) => name),
        )
      }
      return new Pgbench({ ...options, script: insertScript(columnsOf) })
    } finally {
      await client.end()
    }
  }

  private constructor(options: PgbenchOptions & { readonly script: string }) {
    this.#options = options
  }

  /** Messages a second, by one client whose commits are durable. */
  async rowsPerSecond(ms: number): Promise<number> {
    const { program, url, batch, script } = this.#options
    const directory = mkdtempSync(join(tmpdir(), 'cm-pgbench-'))
    try {
      const file = join(directory, 'insert.sql')
      writeFileSync(file, script)
      const seconds = String(Math.max(1, Math.round(ms / 1000)))
      const args = ['-n', '-M', 'prepared', '-c', '1', '-T', seconds, '-D', `size=${batch}`, '-f', file, url]
      const { stdout } = await run(program, args)
      const transactions = /^tps = ([0-9.]+)/m.exec(stdout)?.[1]
      if (transactions === undefined) throw new Error(`pgbench says: ${stdout}`)
      return Number(transactions) * batch
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
