/**
 * A directory into a package.
 *
 * 1. What the package has already is not sent again: pushing once more goes on where the last one ended.
 * 2. Content that the store has is not sent at all.
 * 3. The daemon compares what it gets with the digest of what was looked at: a file that changes meanwhile is refused.
 */
import { createReadStream } from 'node:fs'
import { type DigestPair, digestStream, formatContentAddress } from '@claudemesh/artifacts'
import type { Artifacts } from '@claudemesh/client'
import type { ArtifactFile } from '@claudemesh/protocol/artifacts'
import { MeshError } from '../protocol.ts'
import { readWhole } from '../tree/source-file.ts'
import type { TreeFile } from '../tree/walk.ts'
import { atOnce } from './at-once.ts'

export interface PushOptions {
  readonly packageId: string
  readonly files: readonly TreeFile[]
  /** Whether files of the package that are not in the directory are taken out of it. */
  readonly removeOthers: boolean
  readonly signal: AbortSignal
  /** Is told of each file that is done, and of bytes that were sent. */
  readonly onProgress: (o: { readonly files: number; readonly bytes: number }) => void
}

export interface Pushed {
  /** Files that were sent. */
  readonly sent: number
  /** Files whose content the store had. */
  readonly reused: number
  /** Files that the package had. */
  readonly unchanged: number
  readonly removed: number
  readonly bytesSent: number
}

/** What is known of a file before it is sent. */
interface Storing {
  readonly digests: DigestPair
  readonly address: string
  readonly replace: boolean
  readonly signal: AbortSignal
}

/** As many as a daemon takes in at once by default. */
const filesAtOnce = 8
/** To send less than this costs no more than to ask whether it is needed. */
const askBytesMin = 64 * 1024

/** @throws MeshError, the first that stood in the way; what was done by then stays done */
export async function pushFiles(artifacts: Artifacts, o: PushOptions): Promise<Pushed> {
  const present = new Map<string, ArtifactFile>()
  for await (const file of artifacts.eachFile(o.packageId)) present.set(file.relative_path, file)
  const counts = { sent: 0, reused: 0, unchanged: 0, removed: 0, bytesSent: 0 }
  if (o.removeOthers) {
    const wanted = new Set(o.files.map(({ relativePath }) => relativePath))
    for (const [path, { file_id }] of present) {
      if (wanted.has(path)) continue
      await artifacts.removeFile(file_id, { reason: 'not in the directory that was pushed' })
      counts.removed += 1
    }
  }
  const pusher = new Pusher(artifacts, o)
  await atOnce(o.files, { max: filesAtOnce, signal: o.signal }, async (file, signal) => {
    const outcome = await pusher.push(file, present.get(file.relativePath) ?? null, signal)
    counts[outcome] += 1
    if (outcome === 'sent') counts.bytesSent += file.sizeBytes
    o.onProgress({ files: 1, bytes: 0 })
  })
  return counts
}

class Pusher {
  readonly #artifacts: Artifacts
  readonly #o: PushOptions
  /** Content that is on its way, so that equal files do not send it twice. */
  readonly #underWay = new Map<string, Promise<unknown>>()

  constructor(artifacts: Artifacts, o: PushOptions) {
    this.#artifacts = artifacts
    this.#o = o
  }

  async push(
    file: TreeFile,
    present: ArtifactFile | null,
    signal: AbortSignal,
  ): Promise<'sent' | 'reused' | 'unchanged'> {
    const digests = await digestStream(createReadStream(file.path, { highWaterMark: 1024 * 1024 }), { signal })
    if (digests.sizeBytes !== file.sizeBytes) throw changed(file)
    if (present?.sha256 === digests.sha256.hex && present.size_bytes === file.sizeBytes) return 'unchanged'
    const o = { digests, address: formatContentAddress(digests.primary), replace: present !== null, signal }
    // Without a pause between the look and the entry: of equal files one is first.
    const storing = this.#store(file, this.#underWay.get(o.address), o)
    this.#underWay.set(o.address, storing)
    return await storing
  }

  /** @param earlier a file with the same content that is on its way */
  async #store(file: TreeFile, earlier: Promise<unknown> | undefined, o: Storing): Promise<'sent' | 'reused'> {
    await earlier?.catch(() => undefined)
    if (file.sizeBytes >= askBytesMin && (await this.#addExisting(file, o))) return 'reused'
    await this.#send(file, o)
    return 'sent'
  }

  /** @returns false: the store does not have the content */
  async #addExisting(file: TreeFile, o: Storing): Promise<boolean> {
    try {
      await this.#artifacts.addExisting(this.#o.packageId, {
        relative_path: file.relativePath,
        content_address: o.address,
        replace: o.replace,
      })
      return true
    } catch (error) {
      if (error instanceof MeshError && error.code === 'object_not_found') return false
      throw naming(file, error)
    }
  }

  async #send(file: TreeFile, o: Storing): Promise<void> {
    const { relativePath, sizeBytes, path } = file
    const upload = {
      relativePath,
      sizeBytes,
      sha256: o.digests.sha256.hex,
      replace: o.replace,
      open: () => readWhole(path, { sizeBytes, onBytes: (bytes) => this.#o.onProgress({ files: 0, bytes }) }),
      reopens: true,
    }
    try {
      await this.#artifacts.putFile(this.#o.packageId, upload, { signal: o.signal })
    } catch (error) {
      throw naming(file, error)
    }
  }
}

function changed(file: TreeFile): MeshError {
  return new MeshError('size_mismatch', {
    detail: `${file.path} changed while it was read`,
    hint: 'Run it again when nobody writes to it.',
  })
}

/** Says at which file it ended. */
function naming(file: TreeFile, error: unknown): unknown {
  if (!(error instanceof MeshError)) return error
  const data = { ...error.data, file: file.relativePath }
  return new MeshError(error.code, {
    detail: `${file.relativePath}: ${error.message}`,
    hint: error.hint,
    data,
    cause: error,
  })
}
