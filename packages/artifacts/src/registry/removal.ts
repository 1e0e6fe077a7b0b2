/** Taking a file out of an open package (06 §11). */
import { ArtifactError } from '../artifact-error.ts'
import type { Limits } from '../config/limits.ts'
import type { EventLog } from '../events/event-log.ts'
import { checkActor, checkText } from './input.ts'
import { requireOpenPackage } from './package.ts'
import { findFile } from './statements.ts'

export class Removal {
  readonly #log: EventLog
  readonly #limits: Limits

  constructor(o: { readonly log: EventLog; readonly limits: Limits }) {
    this.#log = o.log
    this.#limits = o.limits
  }

  /** Its bytes are left to garbage collection. @throws ArtifactError `file_not_found`, `package_not_open` */
  async remove(fileId: string, o: { readonly actor: string; readonly reason?: string }): Promise<void> {
    const actor = checkActor(o.actor)
    const reason = o.reason === undefined ? null : checkText('reason', o.reason, this.#limits.reasonLengthMax)
    const known = await this.#log.read((session) => findFile(session, fileId))
    if (known === null) throw new ArtifactError('file_not_found')
    const { package_id } = known
    await this.#log.submit({
      packageIds: [package_id],
      run: async (tx) => {
        await requireOpenPackage(tx, package_id)
        if ((await findFile(tx, fileId))?.state !== 'live') throw new ArtifactError('file_not_found')
        const subject = { subject_kind: 'file' as const, subject_id: fileId, actor }
        await this.#log.write(tx, [
          { event_type: 'v1.file.removed', ...subject, payload: { package_id, file_id: fileId, reason } },
        ])
      },
    })
  }
}
