// Sends a blob of the given number of bytes into a spool from where its record says on, publishes it, and prints its
// address when that is done; a test has it killed on the way. Arguments: a directory, the id of the blob, its size.
import { createCipheriv } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatContentAddress, LocalBackend, Spool } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { writeFileAtomic } from '@claudemesh/storage'

const [directory, id, size] = process.argv.slice(2)
const root = join(directory, 'objects')
const backend = await LocalBackend.open({ backendId: 'local', root, now: Date.now, nextId: createIdSource(Date.now) })
const spool = Spool.open(join(root, '.spool'))
const record = join(directory, 'record')
const write = async (offset) => writeFileAtomic(record, String(offset), { mode: 0o600 })

/** The same bytes each time, none like the ones before. */
async function* source(offset) {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  for (let start = 0; start < Number(size); start += 65_536) {
    const chunk = cipher.update(Buffer.alloc(Math.min(65_536, Number(size) - start)))
    if (start + chunk.length > offset) yield chunk.subarray(Math.max(0, offset - start))
  }
}

if (!existsSync(record)) {
  await spool.remove(id)
  await spool.create(id)
  await write(0)
}
const offset = Number(readFileSync(record, 'utf8'))
const end = await spool.append({ id, offset }, source(offset), { bytesMax: Number(size), record: write })
const { primary } = await spool.digest({ id, offset: end })
const { contentAddress } = await spool.publish({ id, offset: end }, { backend, address: formatContentAddress(primary) })
await spool.remove(id)
console.log(contentAddress)
backend.close()
