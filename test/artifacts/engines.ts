/** The two engines of the store of artifacts, each over a database of the running test alone. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ask, emptyDatabase } from '../support/postgres.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

export interface Engine {
  readonly name: 'SQLite' | 'PostgreSQL'
  /** A database with nothing in it, until the test ends. */
  readonly freshUrl: () => Promise<string>
}

/** Databases of this file that no test is using, with nothing in them: to make one costs more than most tests do. */
const spare: string[] = []

const emptied = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
  DROP SCHEMA IF EXISTS artifacts_replay CASCADE;
  DROP SCHEMA IF EXISTS artifacts CASCADE`

export const engines: readonly Engine[] = [
  {
    name: 'SQLite',
    freshUrl: async () => {
      const directory = join(scratchDirectory(), 'artifacts')
      mkdirSync(directory, { mode: 0o700 })
      return `sqlite:${join(directory, 'registry.db')}`
    },
  },
  {
    name: 'PostgreSQL',
    freshUrl: async () => {
      const url = spare.pop() ?? (await emptyDatabase())
      onTestFinished(async () => {
        await ask(url, emptied)
        spare.push(url)
      })
      return url
    },
  },
]
