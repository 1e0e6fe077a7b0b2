/** Making packages and giving them up (06 §11). */
import { Compile } from 'typebox/compile'
import { ArtifactError } from '../artifact-error.ts'
import type { CanonicalMap } from '../canon/value.ts'
import type { Limits } from '../config/limits.ts'
import type { Session, Tx } from '../db/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import type { PathPolicy } from '../paths/relative-path.ts'
import type { Runtime } from '../runtime.ts'
import { answerOnce, keyOf, type Repeatable } from './answers/idempotency.ts'
import {
  checkActor,
  checkAnnotations,
  checkMediaType,
  checkMetadata,
  checkName,
  checkProvenance,
  checkText,
  invalid,
  type Provenance,
} from './input.ts'
import { type Package, requireOpenPackage, requirePackage, toPackage } from './package.ts'
import { findDuration, findMetadataSchema } from './statements.ts'

export interface NewPackage extends Repeatable {
  readonly name: string
  readonly producer: string
  readonly subject?: string | null
  readonly retentionClass: string
  /** A media type; `application/vnd.claudemesh.artifact.v1` unless another is given. */
  readonly artifactType?: string
  readonly pathPolicy?: PathPolicy
  readonly metadata?: CanonicalMap
  /** `id@version` of a schema that the store knows. */
  readonly metadataSchema?: string | null
  readonly annotations?: Readonly<Record<string, string>>
  readonly provenance?: Provenance
  readonly actor: string
}

const artifactTypeDefault = 'application/vnd.claudemesh.artifact.v1'

export class Packages {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #limits: Limits

  constructor(o: { readonly log: EventLog; readonly runtime: Runtime; readonly limits: Limits }) {
    this.#log = o.log
    this.#runtime = o.runtime
    this.#limits = o.limits
  }

  /**
   * Makes a package, with its expiry.
   *
   * @throws ArtifactError `retention_class_unknown`, `metadata_invalid`, `annotation_reserved`, `too_large`,
   *   `invalid_request`, `not_canonical`, `idempotency_key_reused`
   */
  async create(o: NewPackage): Promise<Package> {
    const checked = this.check(o)
    const key = keyOf(o)
    const { packageId } = await this.#log.submit({
      run: (tx) => {
        const now = this.#runtime.now()
        const request = { ...checked.fields, actor: checked.actor }
        return answerOnce(tx, { key, operation: 'create', request, now }, () => this.write(tx, checked))
      },
    })
    return this.#log.read(async (session) => toPackage(await requirePackage(session, packageId)))
  }

  /**
   * Gives an open package up; its bytes go with the next garbage collection.
   *
   * @throws ArtifactError `package_not_found`, `package_not_open`, `idempotency_key_reused`
   */
  async abort(packageId: string, o: { readonly actor: string; readonly reason?: string } & Repeatable): Promise<void> {
    const actor = checkActor(o.actor)
    const reason = o.reason === undefined ? null : checkText('reason', o.reason, this.#limits.reasonLengthMax)
    const key = keyOf(o)
    const request = [packageId, reason, actor]
    await this.#log.submit({
      packageIds: [packageId],
      run: (tx) =>
        answerOnce(tx, { key, operation: 'abort', request, now: this.#runtime.now() }, async () => {
          await requireOpenPackage(tx, packageId)
          const subject = { subject_kind: 'package' as const, subject_id: packageId, actor }
          const payload = { package_id: packageId, reason }
          await this.#log.write(tx, [{ event_type: 'v1.package.aborted', ...subject, payload }])
          return {}
        }),
    })
  }

  /** All that can be refused of a new package without looking. @throws as `create` */
  check(o: NewPackage): CheckedPackage {
    return { fields: checkFields(o, this.#limits), actor: checkActor(o.actor) }
  }

  /** Makes a package in a transaction of others. @throws ArtifactError `retention_class_unknown`, `metadata_invalid` */
  async write(tx: Tx, o: CheckedPackage): Promise<{ readonly packageId: string }> {
    const { fields, actor } = o
    const now = this.#runtime.now()
    const seconds = await findDuration(tx, fields.retention_class)
    if (seconds === undefined) throw new ArtifactError('retention_class_unknown')
    if (fields.metadata_schema !== null) await checkAgainstSchema(tx, fields.metadata_schema, fields.metadata)
    const packageId = this.#runtime.nextId()
    const subject = { subject_kind: 'package' as const, subject_id: packageId, actor }
    await this.#log.write(tx, [
      { event_type: 'v1.package.created', ...subject, payload: { package_id: packageId, ...fields } },
      {
        event_type: 'v1.retention.default_applied',
        ...subject,
        payload: {
          package_id: packageId,
          retention_class: fields.retention_class,
          default_duration_seconds: seconds,
          anchor_at: now,
          expires_at: seconds === null ? null : now + seconds * 1000,
        },
      },
    ])
    return { packageId }
  }
}

/** A package that may be made, unless the store says otherwise. */
export interface CheckedPackage {
  readonly fields: ReturnType<typeof checkFields>
  readonly actor: string
}

/** What an event says of a new package. */
function checkFields(o: NewPackage, limits: Limits) {
  const { pathPolicy = 'portable' } = o
  if (pathPolicy !== 'portable' && pathPolicy !== 'posix') throw invalid('pathPolicy', 'is portable or posix')
  return {
    name: checkName('name', o.name, limits),
    producer: checkName('producer', o.producer, limits),
    subject: o.subject === undefined || o.subject === null ? null : checkName('subject', o.subject, limits),
    retention_class: checkName('retentionClass', o.retentionClass, limits),
    artifact_type: checkMediaType('artifactType', o.artifactType ?? artifactTypeDefault),
    path_policy: pathPolicy,
    metadata: checkMetadata(o.metadata ?? {}, limits),
    metadata_schema:
      o.metadataSchema === undefined || o.metadataSchema === null
        ? null
        : checkName('metadataSchema', o.metadataSchema, limits),
    annotations: checkAnnotations(o.annotations ?? {}, limits),
    provenance: checkProvenance(o.provenance ?? {}),
  }
}

/** @throws ArtifactError `metadata_invalid` with the place of the first fault */
async function checkAgainstSchema(session: Session, name: string, metadata: CanonicalMap): Promise<void> {
  const [, id = '', version = ''] = /^(.+)@([1-9][0-9]*)$/.exec(name) ?? []
  const text = await findMetadataSchema(session, id, Number(version))
  if (text === null) {
    throw new ArtifactError('metadata_invalid', { path: '$', detail: `No metadata schema ${name} is known here.` })
  }
  const validator = Compile(JSON.parse(text) as object)
  if (validator.Check(metadata)) return
  const [fault] = validator.Errors(metadata)
  throw new ArtifactError('metadata_invalid', {
    path: `$${(fault?.instancePath ?? '').replaceAll('/', '.')}`,
    detail: `The metadata does not fit ${name}: ${fault?.message ?? 'it has another form'}.`,
  })
}
