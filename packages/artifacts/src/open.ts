/** The composition root (06 §1): a store is opened here, with no server, and everything in it gets what it needs. */
import { join } from 'node:path'
import { ArtifactError } from './artifact-error.ts'
import { jcs } from './canon/jcs.ts'
import type { CanonicalMap } from './canon/value.ts'
import { type Limits, limitsDefault } from './config/limits.ts'
import { InProcessDataPlane } from './dataplane/inproc/in-process-data-plane.ts'
import { openDatabase } from './db/open-database.ts'
import type { Database } from './db/spi.ts'
import { EventLog } from './events/event-log.ts'
import { answersMsMax } from './registry/answers/idempotency.ts'
import { forgetAnswers } from './registry/answers/statements.ts'
import { Batches } from './registry/batch.ts'
import { Finalize } from './registry/finalize.ts'
import { ImageExport } from './registry/images/image-export.ts'
import { ImageImport } from './registry/images/image-import.ts'
import { Ingest } from './registry/ingest/ingest.ts'
import { IngestSlots } from './registry/ingest/ingest-slots.ts'
import { Placing } from './registry/ingest/placing.ts'
import { Packages } from './registry/packages.ts'
import { Reading } from './registry/reading.ts'
import { Registry } from './registry/registry.ts'
import { Removal } from './registry/removal.ts'
import { Signatures } from './registry/signatures/signatures.ts'
import { identify, setDuration, setMetadataSchema } from './registry/statements.ts'
import { Uploads } from './registry/uploads/uploads.ts'
import { Adoption } from './retention/adoption.ts'
import { GarbageCollection } from './retention/collection.ts'
import { Healing } from './retention/healing.ts'
import { RetentionKeeper } from './retention/retention.ts'
import { Verification } from './retention/verification.ts'
import { type Runtime, systemRuntime } from './runtime.ts'
import { Shares } from './shares/shares.ts'
import { LocalBackend } from './storage/backends/local/local-backend.ts'
import { S3Backend, type S3Config } from './storage/backends/s3/s3-backend.ts'
import { Backends } from './storage/backends.ts'

export interface RegistryConfig {
  /** `sqlite:/absolute/path`, in a directory of the user alone, or `postgres://…`. */
  readonly databaseUrl: string
  /** The directory of the objects, and of bytes on their way to a bucket; made, 0700, when it is missing. */
  readonly storageRoot: string
  /** Where new bytes go; `local` unless said otherwise. What is in the other one stays there, and is read from it. */
  readonly backend?: 'local' | 's3'
  /** The bucket, if there is one. */
  readonly s3?: S3Config
  /** Durations of retention classes, in seconds, for packages that are created from now on; null: for ever. */
  readonly retention?: Readonly<Record<string, number | null>>
  /** Schemas (JSON Schema) that metadata may be held to. */
  readonly metadataSchemas?: readonly { readonly id: string; readonly version: number; readonly schema: CanonicalMap }[]
  /** How old an object must be that no package refers to before it is deleted; 24 hours unless said otherwise. */
  readonly gcGraceMs?: number
  readonly limits?: Partial<Limits>
  /** Time and ids; those of the system unless a test owns them. */
  readonly runtime?: Runtime
}

const gcGraceMsDefault = 24 * 3_600_000

/**
 * Opens a store, making it when there is none. What a killed process has left is mended here, by nobody else.
 *
 * @throws ArtifactError `invalid_request`, `retention_class_unknown`, `database_unavailable`, `backend_unknown`; MeshError
 *   `unsafe_permissions`, `schema_too_new`, `database_corrupt`, `start_failed`; what `S3Backend.open` throws of its keys
 */
export async function openRegistry(config: RegistryConfig): Promise<Registry> {
  const runtime = config.runtime ?? systemRuntime()
  const database = await openDatabase({ url: config.databaseUrl, now: runtime.now })
  try {
    const registryId = await settle(database, config, runtime)
    const storage = await openStorage(config, runtime)
    return compose({ config, runtime, database, registryId, storage })
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Writes down what the configuration says and who the store is. @returns its id */
function settle(database: Database, config: RegistryConfig, runtime: Runtime): Promise<string> {
  return database.write(async (tx) => {
    const now = runtime.now()
    for (const [retentionClass, seconds] of Object.entries(config.retention ?? {})) {
      if (!(await setDuration(tx, retentionClass, seconds))) throw new ArtifactError('retention_class_unknown')
    }
    for (const { id, version, schema } of config.metadataSchemas ?? []) {
      const jsonSchema = Buffer.from(jcs(schema)).toString('utf8')
      await setMetadataSchema(tx, { id, version, jsonSchema, at: now })
    }
    await forgetAnswers(tx, now - answersMsMax)
    return identify(tx, runtime.nextId(), now)
  })
}

/** The backends of a store, open. */
interface Storage {
  readonly backends: Backends
  readonly close: () => void
}

/** @throws ArtifactError `backend_unknown`: new bytes are to go to a bucket that is not set up */
async function openStorage(config: RegistryConfig, runtime: Runtime): Promise<Storage> {
  const { storageRoot, s3 } = config
  if (config.backend === 's3' && s3 === undefined) {
    throw new ArtifactError('backend_unknown', { detail: 'New bytes are to go to S3, and no bucket is set up.' })
  }
  const backends = new Backends()
  const local = await LocalBackend.open({ backendId: 'local', root: storageRoot, ...runtime })
  backends.register(local)
  if (s3 === undefined) return { backends, close: () => local.close() }
  try {
    const bucket = await S3Backend.open({ ...s3, backendId: 's3', spoolRoot: storageRoot, ...runtime })
    backends.register(bucket)
    return {
      backends,
      close: () => {
        local.close()
        bucket.close()
      },
    }
  } catch (error) {
    local.close()
    throw error
  }
}

function compose(o: {
  readonly config: RegistryConfig
  readonly runtime: Runtime
  readonly database: Database
  readonly registryId: string
  readonly storage: Storage
}): Registry {
  const { config, runtime, database, registryId, storage } = o
  const limits = { ...limitsDefault, ...config.limits }
  const plane = new InProcessDataPlane({
    backends: storage.backends,
    backendIdDefault: config.backend ?? 'local',
    spoolDirectory: join(config.storageRoot, '.uploads'),
  })
  const log = new EventLog({ database, now: runtime.now, tailsMax: limits.tailsMax })
  const slots = new IngestSlots({ slotsMax: limits.ingestsMax, waitingMax: limits.ingestsWaitingMax })
  const placing = new Placing({ log, plane, runtime, limits })
  const healing = new Healing({ log, plane, runtime })
  const verification = new Verification({ log, plane, runtime, healing })
  const packages = new Packages({ log, runtime, limits })
  const finalize = new Finalize({ log, plane, runtime, registryId })
  const reading = new Reading({ log, plane, limits, verification })
  const signatures = new Signatures({ log, reading })
  return new Registry({
    registryId,
    database,
    log,
    plane,
    limits,
    slots,
    packages,
    ingest: new Ingest({ placing, plane, limits, slots }),
    uploads: new Uploads({ log, plane, placing, runtime, limits, slots }),
    removal: new Removal({ log, runtime, limits }),
    batches: new Batches({ log, plane, runtime, limits, slots }),
    finalize,
    reading,
    signatures,
    imageExport: new ImageExport({ log, reading, signatures }),
    imageImport: new ImageImport({ log, plane, runtime, limits, slots, packages, finalize }),
    retention: new RetentionKeeper({ log, runtime, limits }),
    adoption: new Adoption({ log, plane, packages, placing, filesMax: limits.filesMax }),
    verification,
    collection: new GarbageCollection({ log, plane, runtime }),
    shares: new Shares({ log, runtime, limits }),
    gcGraceMs: config.gcGraceMs ?? gcGraceMsDefault,
    closeStorage: () => {
      plane.close()
      storage.close()
    },
  })
}
