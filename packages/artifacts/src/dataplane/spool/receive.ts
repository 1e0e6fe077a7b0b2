import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import { abortable } from '../../identity/abortable.ts'
import type { DualDigest } from '../../identity/dual-digest.ts'
import type { StagedFile } from '../../storage/staging/staged-file.ts'
import { BlockWriter } from '../block-writer.ts'
import type { AppendOptions } from '../spi.ts'

/** What came of a source. */
export interface Received {
  /** How many bytes are durable and recorded. */
  readonly offset: number
  /** What the source failed with, if it did. */
  readonly broken: { readonly error: unknown } | null
}

/** Bytes after which they are synced and recorded while more come: a kill within a long append costs no more than these. */
const syncBytes = 32 * 1024 * 1024
/** The same of time: what comes slowly is recorded all the same, and is known not to have stopped. */
const syncMs = 30_000
/** Bytes that are hashed at once; between two portions others have their turn. */
const portionBytes = 1024 * 1024

/**
 * Appends what a source gives to a file, durably, with the digest along. It closes the file.
 *
 * @param o `lost`: what to do when nobody can tell what is on the disk
 * @throws what is thrown by the disk and by `record`: the file is cut to what was recorded last
 */
export async function receive(
  source: AsyncIterable<Uint8Array>,
  o: AppendOptions & {
    readonly file: StagedFile
    readonly digest: DualDigest
    readonly lost: () => Promise<void>
  },
): Promise<Received> {
  const { file, digest } = o
  const writer = new BlockWriter(file)
  const ending: { broken: Received['broken'] } = { broken: null }
  let received = file.sizeBytes
  let recorded = received
  let kept = performance.now()
  const keep = async () => {
    kept = performance.now()
    if (received === recorded) return
    await writer.finish()
    await file.sync().catch(async (error: unknown) => {
      await o.lost()
      throw error
    })
    crashPoint('artifacts.spool.synced')
    await o.record(received)
    recorded = received
    crashPoint('artifacts.spool.recorded')
  }
  try {
    for await (const chunk of untilBroken(abortable(source, o.signal), ending)) {
      // The first update finds what is no chunk, before its length is asked for.
      for (let start = 0; start === 0 || start < chunk.length; start += portionBytes) {
        const portion = chunk instanceof Uint8Array ? chunk.subarray(start, start + portionBytes) : chunk
        digest.update(portion)
        received += portion.length
        if (received > o.bytesMax) throw tooMany(o.bytesMax)
        await writer.write(portion)
      }
      if (received - recorded >= syncBytes || performance.now() - kept >= syncMs) await keep()
    }
    await keep()
    await file.release()
    return { offset: recorded, ...ending }
  } catch (error) {
    await writer.settle()
    await file.cut(recorded)
    throw error
  }
}

/** What a source gives before it fails: its failure is told at the end, when that is safe. */
async function* untilBroken(source: AsyncIterable<Uint8Array>, ending: { broken: Received['broken'] }) {
  try {
    yield* source
  } catch (error) {
    ending.broken = { error }
  }
}

function tooMany(bytesMax: number): ArtifactError {
  return new ArtifactError('size_mismatch', { detail: `There should be ${bytesMax} bytes, and there are more.` })
}
