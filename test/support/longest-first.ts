/** Starts the files that take longest first, so that none of them runs alone at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Where tests start processes and wait for them, the longest first. */
const folders = ['crash', 'path', 'power-loss', 'cli', 'package', 'broker', 'decisions', 'artifacts', 'ipc']

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // Within a folder as the base class has it: by what they took the last time, else by their size.
    const sorted = await super.sort(files)
    return sorted.toSorted((left, right) => rankOf(left) - rankOf(right))
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const folder = /\/test\/([^/]+)\/[^/]+$/.exec(moduleId)?.[1] ?? ''
  const rank = folders.indexOf(folder)
  return rank === -1 ? folders.length : rank
}
