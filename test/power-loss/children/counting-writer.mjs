// Inserts rows, each in a commit of its own, and says at which instant each commit had returned.
// Arguments: the database, the value of `synchronous`, how many rows.
import Database from 'better-sqlite3'

const [path, synchronous, rows] = process.argv.slice(2)
const db = new Database(path)
db.pragma('journal_mode = WAL')
db.pragma(`synchronous = ${synchronous}`)
db.pragma('wal_autocheckpoint = 20')
db.exec('CREATE TABLE IF NOT EXISTS written (n INTEGER PRIMARY KEY, filler BLOB NOT NULL)')
const insert = db.prepare('INSERT INTO written VALUES (?, randomblob(700))')
for (let n = 0; n < Number(rows); n += 1) {
  insert.run(n)
  process.stdout.write(`${n} ${process.hrtime.bigint()}\n`)
}
db.close()
