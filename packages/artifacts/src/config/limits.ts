/** Every bound of the store, with its default (06 §16). Bytes unless the name says otherwise. */
export interface Limits {
  readonly fileBytesMax: number
  readonly filesMax: number
  readonly metadataBytesMax: number
  /** Containers within containers. */
  readonly metadataNestingMax: number
  readonly annotationsMax: number
  readonly annotationKeyBytesMax: number
  readonly annotationValueBytesMax: number
  /** Characters of a name, a producer, a subject. */
  readonly nameLengthMax: number
  readonly reasonLengthMax: number
  /** Ingests whose bytes are read at once. */
  readonly ingestsMax: number
  /** Ingests that wait for their turn; a further one is refused. */
  readonly ingestsWaitingMax: number
  /** Uploads in pieces that are open. */
  readonly uploadsMax: number
  readonly tailsMax: number
  /** Rows of a page of a listing. */
  readonly pageRowsMax: number
}

export const limitsDefault: Limits = {
  fileBytesMax: 64 * 1024 ** 3,
  filesMax: 50_000,
  metadataBytesMax: 64 * 1024,
  metadataNestingMax: 16,
  annotationsMax: 64,
  annotationKeyBytesMax: 128,
  annotationValueBytesMax: 4096,
  nameLengthMax: 255,
  reasonLengthMax: 1024,
  ingestsMax: 8,
  ingestsWaitingMax: 64,
  uploadsMax: 64,
  tailsMax: 32,
  pageRowsMax: 1000,
}
