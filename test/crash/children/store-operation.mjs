// Opens a broker's store and calls one operation of it: where the rows are, the name of the operation and its arguments
// as JSON. Bytes are written as {"$bytes": base64}. Prints what the operation returned.
import { PostgresStore } from '../../../apps/broker/dist/store/postgres/postgres-store.js'
import { SqliteStore } from '../../../apps/broker/dist/store/sqlite/sqlite-store.js'

const [place, operation, args] = process.argv.slice(2)
const runtime = { now: Date.now, monotonicMs: () => performance.now(), nextId: () => 'unused' }
const isServer = place.startsWith('postgres:')
const store = isServer ? await PostgresStore.open({ url: place, runtime }) : SqliteStore.open({ path: place, runtime })
const [name, part] = operation.split('.').reverse()
const target = part === undefined ? store : store[part]
const read = (_, value) => (typeof value?.$bytes === 'string' ? Buffer.from(value.$bytes, 'base64') : value)
console.log(JSON.stringify((await target[name](...JSON.parse(args, read))) ?? null))
await store.close()
