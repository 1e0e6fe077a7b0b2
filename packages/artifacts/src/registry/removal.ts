/** Taking a file out of an open package (06 §11). */
import { ArtifactError } from '../artifact-error.ts'
import type { Limits } from '../config/limits.ts'
import type { ChangeLog } from '../events/event-log.ts'
import type { Runtime } from '../runtime.ts'
import { answerOnce, keyOf, type Repeatable } from './answers/idempotency.ts'
import { checkActor, checkText } from './input.ts'
import { requireOpenPackage } from './package.ts'
import { findFile } from './statements.ts'

export class Removal {
  readonly #log: ChangeLog
  readonly #runtime: Runtime
  readonly #limits: Limits

  constructor(o: { readonly log: ChangeLog; readonly runtime: Runtime; readonly limits: Limits }) {
    this.#log = o.log
    this.#runtime = o.runtime
    this.#limits = o.limits
  }

  /** Its bytes are left to garbage collection. @throws ArtifactError `file_not_found`, `package_not_open`, `idempotency_key_reused` */
  async remove(fileId: string, o: { readonly actor: string; readonly reason?: string } & Repeatable): Promise<void> {
    const actor = checkActor(o.actor)
    const reason = o.reason === undefined ? null : checkText('reason', o.reason, this.#limits.reasonLengthMax)
    const key = keyOf(o)
    const request = [fileId, reason, actor]
    const known = await this.#log.read((session) => findFile(session, fileId))
    if (known === null) throw new ArtifactError('file_not_found')
    const { package_id } = known
    await this.#log.submit({
      packageIds: [package_id],
      run: (tx) =>
        answerOnce(tx, { key, operation: 'remove', request, now: this.#runtime.now() }, async () => {
          await requireOpenPackage(tx, package_id)
          if ((await findFile(tx, fileId))?.state !== 'live') throw new ArtifactError('file_not_found')
          const subject = { subject_kind: 'file' as const, subject_id: fileId, actor }
          await this.#log.write(tx, [
            { event_type: 'v1.file.removed', ...subject, payload: { package_id, file_id: fileId, reason } },
          ])
          return {}
        }),
    })
  }
}
