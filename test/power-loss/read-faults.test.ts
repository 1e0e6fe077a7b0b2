/**
 * A disk that fails to read says nothing of what is on it: such a database is never called damaged, which would have it
 * moved away and filled anew, or an operator restore a backup over it.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const opener = fileURLToPath(new URL('../storage/children/open-database.mjs', import.meta.url))

describe.skipIf(whyNotRecordable() !== null)('a database whose disk fails to read', () => {
  test('is not opened, whichever read fails, and never said to be damaged', async () => {
    const scratch = scratchDirectory()
    const schema = join(scratch, 'schema')
    mkdirSync(schema)
    writeFileSync(join(schema, '001-init.sql'), 'CREATE TABLE note (n INTEGER PRIMARY KEY, body BLOB NOT NULL);')
    const directory = join(scratch, 'disk')
    mkdirSync(directory, { mode: 0o700 })
    const path = join(directory, 'notes.db')
    execFileSync('node', [opener, path, schema])
    fill(path)

    const said = new Set<string>()
    let opened = false
    for (let failing = 1; !opened; failing += 1) {
      const recording = await Recording.start({ directory, trace: join(scratch, `${failing}.trace`) })
      recording.setFaults(`eio-read=${failing}+:notes.db`)
      const [program = '', ...first] = recording.launcher
      const { status, stderr } = spawnSync(program, [...first, 'node', opener, path, schema], { encoding: 'utf8' })
      await recording.end()
      opened = status === 0
      if (!opened) said.add(/code: '([a-z_]+)'/.exec(stderr)?.[1] ?? stderr)
      expect([...said], `read ${failing} failed`).toEqual(opened && failing === 1 ? [] : ['storage_failed'])
      expect(failing).toBeLessThan(100)
    }
  })
})

/** Enough pages that a look at all of them takes several reads. */
function fill(path: string): void {
  const db = new BetterSqlite3(path)
  const insert = db.prepare('INSERT INTO note (body) VALUES (randomblob(3000))')
  db.transaction(() => {
    for (let n = 0; n < 12; n += 1) insert.run()
  })()
  db.close()
}
