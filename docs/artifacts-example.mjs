// Puts the files of a directory into a package, finalizes it, and writes all of them out again, verified. No server runs.
//
//   node docs/artifacts-example.mjs <directory of the store> <directory to read> <directory to write>
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { openRegistry } from '@claudemesh/artifacts'

const [store, from, to] = process.argv.slice(2)
const actor = 'local'

await mkdir(join(store, 'db'), { recursive: true, mode: 0o700 })
const registry = await openRegistry({
  databaseUrl: `sqlite:${join(store, 'db', 'registry.db')}`,
  storageRoot: join(store, 'objects'),
})

const { packageId } = await registry.createPackage({
  name: 'example',
  producer: 'docs/artifacts-example.mjs',
  retentionClass: 'transient',
  actor,
})

/** Opened when it is its turn: a directory may have more files than a process may open. */
async function* readLater(path) {
  yield* createReadStream(path)
}

const entries = await readdir(from, { recursive: true, withFileTypes: true })
const files = entries
  .filter((entry) => entry.isFile())
  .map((entry) => {
    const path = join(entry.parentPath, entry.name)
    const relativePath = relative(from, path).split(sep).join('/')
    return { relativePath, mediaType: 'application/octet-stream', source: readLater(path), actor }
  })
for (const outcome of await registry.ingestMany(packageId, files)) {
  if (outcome.status === 'rejected') throw outcome.reason
}
const { manifestDigest } = await registry.finalizePackage(packageId, { actor, verify: 'full' })
console.log(`finalized ${packageId}, manifest ${manifestDigest}`)

for (let after = ''; after !== null; ) {
  const page = await registry.listFiles(packageId, { after })
  for (const { fileId, relativePath } of page.items) {
    const path = join(to, ...relativePath.split('/'))
    await mkdir(dirname(path), { recursive: true })
    // `wx`: what is there already is never written over.
    const handle = await open(path, 'wx')
    for await (const chunk of (await registry.getFile(fileId)).body) await handle.write(chunk)
    await handle.close()
    console.log(`wrote ${relativePath}`)
  }
  after = page.next
}

const { agree } = await registry.checkViews()
console.log(agree ? 'the views are what the log says' : 'the views are NOT what the log says')
await registry.close()
