// Submits notes in bursts without an end, and prints the number of each one that was acknowledged. A failed commit is
// printed as its code, together with the code of the commit after it, and ends the program.
import { writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { crashPoint, GroupCommit, openDatabase } from '@claudemesh/storage'

const [path, schema, burst, bodyBytes] = process.argv.slice(2)
const db = openDatabase({ path, migrations: pathToFileURL(`${schema}/`), now: Date.now })
const insert = db.prepare('INSERT INTO note (id, body) VALUES (?, ?)')
const body = 'x'.repeat(Number(bodyBytes))
const commit = new GroupCommit({
  db,
  itemsMax: 256,
  run: (tx, ids) => {
    for (const id of ids) insert.run(id, body)
    crashPoint('note.before_commit')
    tx.afterCommit(() => crashPoint('note.committed'))
    return ids
  },
})

function codeOf(error) {
  return error.code
}

for (let next = 1; ; next += Number(burst)) {
  const ids = Array.from({ length: Number(burst) }, (_, index) => next + index)
  try {
    for (const id of await Promise.all(ids.map((id) => commit.submit(id)))) writeSync(1, `${id}\n`)
  } catch (error) {
    const later = await commit.submit(next).catch(codeOf)
    writeSync(1, `${codeOf(error)} ${later}\n`)
    break
  }
}
