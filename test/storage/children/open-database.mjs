// Opens a database, migrations included, says which schema it has, and closes it.
import { pathToFileURL } from 'node:url'
import { closeDatabase, openDatabase, schemaVersion } from '@claudemesh/storage'

const [path, schema] = process.argv.slice(2)
const db = openDatabase({ path, migrations: pathToFileURL(`${schema}/`), now: Date.now })
console.log(String(schemaVersion(db)))
closeDatabase(db)
