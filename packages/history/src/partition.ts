/** A part of the record that is kept, read and exported by itself. Its name never changes, whatever files it is in. */
import { partitionPattern } from '@claudemesh/protocol'

export interface Partition {
  /** What its rows are: `messages` or `events`. */
  readonly dataset: string
  /** Where they come from: `mesh=<slug>`. */
  readonly source: string
}

const partitionRegExp = new RegExp(partitionPattern)

/** `messages/mesh=home`: its name in rows, and its directory. */
export function formatPartition({ dataset, source }: Partition): string {
  const name = `${dataset}/${source}`
  if (!partitionRegExp.test(name)) throw new RangeError(`${JSON.stringify(name)} is no name of a partition`)
  return name
}

/** @returns null when the text is no name of a partition */
export function parsePartition(name: string): Partition | null {
  if (!partitionRegExp.test(name)) return null
  const [dataset = '', source = ''] = name.split('/')
  return { dataset, source }
}
