// Ingests a file of the given number of MiB, serves it, and verifies it; prints by how many MiB memory grew at most.
// Arguments: the directory of the store, how many MiB.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry } from '@claudemesh/artifacts'

const [directory, mebibytes] = process.argv.slice(2)
mkdirSync(join(directory, 'db'), { mode: 0o700 })
const registry = await openRegistry({
  databaseUrl: `sqlite:${join(directory, 'db', 'registry.db')}`,
  storageRoot: join(directory, 'objects'),
})
const actor = 'local'
const { packageId } = await registry.createPackage({ name: 'p', producer: 'p', retentionClass: 'transient', actor })

async function* source(count) {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  for (let index = 0; index < count; index += 1) {
    chunk.writeUInt32BE(index)
    yield chunk
  }
}
const put = (relativePath, count) =>
  registry.ingestFile(packageId, { relativePath, mediaType: 'text/plain', actor, source: source(count) })
const drain = async (fileId) => {
  let bytes = 0
  for await (const chunk of (await registry.getFile(fileId)).body) bytes += chunk.length
  return bytes
}

// Whatever is made once is made by a small one.
await drain((await put('small', 16)).fileId)
globalThis.gc?.()
const before = process.memoryUsage.rss()
let most = before
const watch = setInterval(() => {
  most = Math.max(most, process.memoryUsage.rss())
}, 20)
const { fileId } = await put('large', Number(mebibytes))
const served = await drain(fileId)
const [{ outcome }] = await registry.verify({ fileId, actor })
clearInterval(watch)
console.log(JSON.stringify({ served, outcome, grownMiB: Math.round((most - before) / 2 ** 20) }))
await registry.close()
