// Inserts rows through packages/storage, each in a commit of its own, and says at which instant each commit had returned.
// It dies at the first failure as a process does that nobody lets close its files.
// Arguments: the database, its migrations, the number of the first row, how many.
import { pathToFileURL } from 'node:url'
import { closeDatabase, immediate, openDatabase } from '@claudemesh/storage'

const [path, schema, first, count] = process.argv.slice(2)
const db = openDatabase({ path, migrations: pathToFileURL(`${schema}/`), now: Date.now })
const insert = db.prepare('INSERT INTO written VALUES (?, randomblob(700))')
for (let n = Number(first); n < Number(first) + Number(count); n += 1) {
  try {
    immediate(db, () => insert.run(n))
  } catch {
    process.kill(process.pid, 'SIGKILL')
  }
  process.stdout.write(`${n} ${process.hrtime.bigint()}\n`)
}
closeDatabase(db)
