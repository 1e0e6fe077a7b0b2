import { ArtifactError } from '../../artifact-error.ts'
import type { EventLog } from '../../events/event-log.ts'
import type { ContentAddress } from '../../identity/content-address.ts'
import { type ExportTarget, exportLayout } from '../../oci/export-layout.ts'
import type { Reading } from '../reading.ts'
import type { Signatures } from '../signatures/signatures.ts'
import { findFileOfContent } from '../statements.ts'

/** Finalized packages as OCI image layouts, with their signatures (06 §15). */
export class ImageExport {
  readonly #log: EventLog
  readonly #reading: Reading
  readonly #signatures: Signatures

  constructor(o: { readonly log: EventLog; readonly reading: Reading; readonly signatures: Signatures }) {
    this.#log = o.log
    this.#reading = o.reading
    this.#signatures = o.signatures
  }

  /**
   * Writes the layout of a package into a directory that is new or empty.
   *
   * @returns the digest of the image manifest, as in `sha256:…`
   * @throws ArtifactError `package_not_found`, `not_finalized`, `invalid_ref`, `invalid_target`, `insufficient_storage`,
   *   `storage_io`; what `getFile` throws of bytes that are not there
   */
  async export(packageId: string, target: ExportTarget): Promise<{ readonly digest: string }> {
    const { payload, signatures } = await this.#signatures.read(packageId)
    const read = (address: ContentAddress) => this.#read(packageId, address)
    return exportLayout({ manifestBytes: payload, signatures, read }, target)
  }

  async *#read(packageId: string, address: ContentAddress): AsyncGenerator<Uint8Array> {
    const fileId = await this.#log.read((session) => findFileOfContent(session, packageId, address))
    if (fileId === null) throw new ArtifactError('file_not_found')
    yield* (await this.#reading.getFile(fileId)).body
  }
}
