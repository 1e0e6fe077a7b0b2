/**
 * Bytes that are missing or damaged in one backend, put back from another one (06 §13). What is copied is checked while it is
 * read, against the address; nothing that is damaged too takes the place of anything.
 */
import { ArtifactError } from '../artifact-error.ts'
import type { DataPlane } from '../dataplane/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import { healedEvent, publishedContent } from '../registry/ingest/content.ts'
import { listDamagedReferences } from '../registry/locations/statements.ts'
import { notePut } from '../registry/statements.ts'
import type { Runtime } from '../runtime.ts'

/** An object in a backend whose bytes are not what they should be. */
export interface DamagedObject {
  readonly backendId: string
  readonly address: ContentAddress
}

export class Healing {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime

  constructor(o: { readonly log: EventLog; readonly plane: DataPlane; readonly runtime: Runtime }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
  }

  /**
   * Puts the bytes back, if another backend has them, and writes down that they are there again.
   *
   * @returns whether they are
   * @throws ArtifactError `insufficient_storage`, `storage_io`, `backend_unavailable`: of the backend that is to be healed
   */
  async heal(damaged: DamagedObject, actor: string): Promise<boolean> {
    for (const backendId of this.#plane.listBackends()) {
      if (backendId !== damaged.backendId && (await this.#healFrom(backendId, damaged, actor))) return true
    }
    return false
  }

  async #healFrom(backendId: string, damaged: DamagedObject, actor: string): Promise<boolean> {
    const { address } = damaged
    const body = await this.#open(backendId, address)
    if (body === null) return false
    const source = new Tracked(body)
    let held: string | null = null
    try {
      const result = await this.#plane.ingestStream(source, {
        backendId: damaged.backendId,
        expected: address,
        hold: true,
      })
      held = result.held
      const bytes = held
      if (bytes === null) throw new Error('bytes that were to be held')
      const content = publishedContent(result)
      await this.#plane.restore(bytes, { replace: true })
      await this.#log.submit({
        addresses: [address],
        run: async (tx) => {
          // Only if it was deleted in between.
          await this.#plane.restore(bytes)
          const healed = await listDamagedReferences(tx, damaged.backendId, address)
          await notePut(tx, damaged.backendId, address, this.#runtime.now())
          await this.#log.write(
            tx,
            healed.map((location) => healedEvent(location, { actor, content })),
          )
        },
      })
      return true
    } catch (error) {
      // The other one is damaged too, or cannot be read: it says so when it is looked at itself.
      if (source.failure === error) return false
      throw error
    } finally {
      if (held !== null) await this.#plane.release(held)
    }
  }

  /** Null: a backend does not have it, or gives nothing. */
  async #open(backendId: string, address: ContentAddress): Promise<AsyncIterable<Uint8Array> | null> {
    try {
      return (await this.#plane.serveObject(address, { backendId })).body
    } catch (error) {
      if (error instanceof ArtifactError) return null
      throw error
    }
  }
}

/** A source that remembers what it failed with: not what is done with its bytes. */
class Tracked implements AsyncIterable<Uint8Array> {
  failure: unknown = null
  readonly #source: AsyncIterable<Uint8Array>

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#source
    } catch (error) {
      this.failure = error
      throw error
    }
  }
}
