// Does one thing with a store and prints `done` when it was acknowledged; a test has it killed on the way. Arguments: the
// URL of the database, the directory of the objects, what to do, and the package,
// the upload and the image layout to do it with.
import { openRegistry } from '@claudemesh/artifacts'

const [databaseUrl, storageRoot, step, packageId, uploadId, layout] = process.argv.slice(2)
const actor = 'local'

async function* source() {
  yield Buffer.from('crash')
  yield Buffer.from(' here')
}

const steps = {
  open: async () => undefined,
  ingest: (registry) =>
    registry.ingestFile(packageId, {
      relativePath: 'dir/crash.txt',
      mediaType: 'text/plain',
      actor,
      source: source(),
      idempotencyKey: 'the-crash',
    }),
  batch: (registry) =>
    registry.batch((changes) =>
      ['one', 'dir/crash.txt'].map((relativePath) =>
        changes.ingestFile(packageId, { relativePath, mediaType: 'text/plain', actor, source: source() }),
      ),
    ),
  begin: (registry) => registry.createUpload(packageId, { relativePath: 'begun', mediaType: 'text/plain', actor }),
  upload: async (registry) => {
    await registry.appendUpload(uploadId, {
      offset: 'crash'.length,
      source: (async function* () {
        yield Buffer.from(' here')
      })(),
    })
    return registry.completeUpload(uploadId, { actor })
  },
  import: (registry) => registry.importOci(layout, { producer: 'test', retentionClass: 'transient', actor }),
  drop: (registry) => registry.abortUpload(uploadId),
  finalize: (registry) => registry.finalizePackage(packageId, { actor }),
  replay: (registry) => registry.replay(),
  gc: (registry) => registry.gc({ actor, graceMs: 0 }),
}

const registry = await openRegistry({ databaseUrl, storageRoot })
const answer = await steps[step](registry)
console.log(`done ${JSON.stringify(answer ?? null)}`)
await registry.close()
