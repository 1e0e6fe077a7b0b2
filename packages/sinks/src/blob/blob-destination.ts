/** Where objects are kept. An object is under its key whole or not at all, and never changes. */
export interface BlobDestination {
  /**
   * Makes an object. When this returns, it survives a power cut.
   *
   * @returns false: there is one under this key, which stays as it is
   * @throws MeshError `sink_unavailable`, `insufficient_storage`; the reason of the signal
   */
  create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean>
  /** @throws MeshError `sink_unavailable` */
  read(key: string): Promise<Uint8Array>
  /** Keys that begin so, in any order. @throws MeshError `sink_unavailable` */
  list(prefix: string): AsyncIterable<string>
  close(): void
}
