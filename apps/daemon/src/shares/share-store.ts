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

/** The library, loaded when it is needed: a daemon that shares nothing does not have it in memory. */
export function loadLibrary(): Promise<typeof import('@claudemesh/artifacts')> {
  return import('@claudemesh/artifacts')
}
