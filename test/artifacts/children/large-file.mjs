// Does with a file of the given number of MiB all that a store does with one, and prints as JSON by how many MiB memory
// grew at most meanwhile, for each step, and what came of it. Arguments: the directory of the store, how many MiB.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { newBlobSecret, openBlob, openRegistry, sealBlob, sealedSize } from '@claudemesh/artifacts'

const [directory, count] = process.argv.slice(2)
const mebibytes = Number(count)
const chunkBytes = 1024 * 1024
const actor = 'local'
mkdirSync(join(directory, 'db'), { mode: 0o700 })
const settings = {
  databaseUrl: `sqlite:${join(directory, 'db', 'registry.db')}`,
  storageRoot: join(directory, 'objects'),
}
let registry = await openRegistry(settings)
const draft = { name: 'p', producer: 'p', retentionClass: 'transient', actor }
const { packageId } = await registry.createPackage(draft)

/** Other bytes for each letter. */
async function* source(letter, from, to) {
  const chunk = Buffer.alloc(chunkBytes, letter)
  for (let index = from; index < to; index += 1) {
    chunk.writeUInt32BE(index)
    yield chunk
  }
}
const put = (relativePath, size) =>
  registry.ingestFile(packageId, { relativePath, mediaType: 'text/plain', actor, source: source('x', 0, size) })
const lengthOf = async (body) => {
  let bytes = 0
  for await (const chunk of body) bytes += chunk.length
  return bytes
}
const drain = async (fileId) => lengthOf((await registry.getFile(fileId)).body)

/** The second half comes to a process that has only the first half's bytes on its disk. */
async function resume(size) {
  const half = Math.floor(size / 2)
  const upload = await registry.createUpload(packageId, {
    relativePath: `again-${size}`,
    mediaType: 'text/plain',
    actor,
  })
  await registry.appendUpload(upload.uploadId, { offset: 0, source: source('y', 0, half) })
  await registry.close()
  registry = await openRegistry(settings)
  await registry.appendUpload(upload.uploadId, { offset: half * chunkBytes, source: source('y', half, size) })
  return (await registry.completeUpload(upload.uploadId, { actor })).sizeBytes
}
async function exportAll(name) {
  await registry.finalizePackage(packageId, { actor })
  const target = join(directory, name)
  const { digest } = await registry.exportOci(packageId, { directory: target })
  rmSync(target, { recursive: true })
  return digest
}
async function seal(fileId, size) {
  const secret = newBlobSecret()
  const read = async function* (start) {
    yield* (await registry.getFile(fileId, start === 0 ? {} : { range: { start } })).body
  }
  const sealed = (start) => sealBlob({ secret, sizeBytes: size * chunkBytes, read, offset: start })
  return [
    (await lengthOf(sealed(0))) - sealedSize(size * chunkBytes),
    await lengthOf(openBlob({ key: secret.key, read: sealed })),
  ]
}

// Whatever is made once is made by a small one.
const small = (await put('small', 16)).fileId
await drain(small)
await resume(2)
await seal(small, 16)

const grownMiB = {}
async function measure(step, run) {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 20)
  const result = await run()
  clearInterval(watch)
  grownMiB[step] = Math.round((most - before) / 2 ** 20)
  return result
}
const { fileId } = await measure('ingesting', () => put('large', mebibytes))
const served = await measure('serving', () => drain(fileId))
const [{ outcome }] = await measure('verifying', () => registry.verify({ fileId, actor }))
const resumed = await measure('resuming', () => resume(mebibytes))
const sealed = await measure('sealing', () => seal(fileId, mebibytes))
const exported = await measure('exporting', () => exportAll('layout'))
console.log(JSON.stringify({ served, outcome, resumed, sealed, exported, grownMiB }))
await registry.close()
