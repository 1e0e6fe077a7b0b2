/** How much memory the store of artifacts takes for a large file, whatever it does with it. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'

const steps = ['ingesting', 'serving', 'verifying', 'resuming', 'exporting', 'sealing'] as const
const figures = steps.map((step) => ({
  name: `P10 ${step}`,
  about: `growth of memory while ${step} one file`,
  target: { atMost: 64 },
  unit: 'MiB',
}))

export const artifactMemory: Benchmark = {
  name: 'artifact-memory',
  limit: 'a mebibyte',
  size: { unit: 'MiB', whenAlone: 10_240, inWholeRun: 512 },
  // What grows, grows in one round, of a process that has done all of it with a small file.
  rounds: 1,
  figures,
  prepare,
}

function prepare(mebibytes: number): Contest {
  return {
    subject: async (): Promise<Sample> => {
      const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
      try {
        const child = join(process.cwd(), 'test/dist/artifacts-large-file.js')
        const { stdout } = await promisify(execFile)(process.execPath, [child, directory, String(mebibytes)])
        const { grownMiB } = JSON.parse(stdout) as { readonly grownMiB: Readonly<Record<string, number>> }
        // Growth of nothing is no ratio.
        return Object.fromEntries(steps.map((step) => [`P10 ${step}`, Math.max(grownMiB[step] ?? Number.NaN, 0.1)]))
      } finally {
        rmSync(directory, { recursive: true })
      }
    },
    limit: () => Object.fromEntries(figures.map(({ name }) => [name, 1])),
  }
}
