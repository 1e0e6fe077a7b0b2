import type { Registry } from '@claudemesh/artifacts'

/** The store of artifacts, as sharing needs it. */
export interface ShareStore {
  /** Whether there is one already. */
  readonly isFounded: boolean
  /**
   * Does something with the store, which is opened, and founded, for it if need be.
   *
   * @throws MeshError when it cannot be used now, and what `run` throws
   */
  use<T>(run: (registry: Registry) => Promise<T>): Promise<T>
}

/** How much more the store may take of the disk. */
export interface ShareRoom {
  /** Bytes on their way into the store, as long as there is room for them. @throws MeshError `insufficient_storage` */
  within(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** Says that so many bytes were stored. */
  taken(bytes: number): void
}

/** The library, loaded when it is needed: a daemon that shares nothing does not have it in memory. */
export function loadLibrary(): Promise<typeof import('@claudemesh/artifacts')> {
  return import('@claudemesh/artifacts')
}
