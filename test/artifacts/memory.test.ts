/** Memory does not grow with the size of a file (06 §10, P10). On demand: `CLAUDEMESH_TEST_LARGE_FILE_MIB=10240`. */
import { expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const mebibytes = Number(process.env['CLAUDEMESH_TEST_LARGE_FILE_MIB'] ?? 512)
const grownMiBMax = 64

interface Outcome {
  readonly served: number
  readonly outcome: string
  readonly resumed: number
  /** By how much the blob has another size than it should; the size of what was opened. */
  readonly sealed: readonly [number, number]
  readonly exported: string
  readonly grownMiB: Readonly<Record<string, number>>
}

test(`a file of ${mebibytes} MiB is ingested, served, verified, resumed, sealed and exported in bounded memory`, {
  timeout: 3_600_000,
}, async () => {
  const child = startChild('artifacts/children/large-file.mjs', [scratchDirectory(), String(mebibytes)])
  const [line = ''] = await child.printed(1)
  const { grownMiB, ...done } = JSON.parse(line) as Outcome
  console.log(`${mebibytes} MiB: memory grew by ${JSON.stringify(grownMiB)} MiB`)
  const bytes = mebibytes * 1024 * 1024
  const exported = expect.stringMatching(/^sha256:/)
  expect(done).toEqual({ served: bytes, outcome: 'verified', resumed: bytes, sealed: [0, bytes], exported })
  expect(Math.max(...Object.values(grownMiB))).toBeLessThan(grownMiBMax)
})
