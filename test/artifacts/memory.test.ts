/** Memory does not grow with the size of a file (06 §10, P10). On demand: `CLAUDEMESH_TEST_LARGE_FILE_MIB=10240`. */
import { expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const mebibytes = Number(process.env['CLAUDEMESH_TEST_LARGE_FILE_MIB'] ?? 1024)
const grownMiBMax = 64

test(`a file of ${mebibytes} MiB is ingested, served and verified in bounded memory`, {
  timeout: 1_800_000,
}, async () => {
  const child = startChild('artifacts/children/large-file.mjs', [scratchDirectory(), String(mebibytes)])
  const [line = ''] = await child.printed(1)
  const { served, outcome, grownMiB } = JSON.parse(line) as { served: number; outcome: string; grownMiB: number }
  console.log(`${mebibytes} MiB: memory grew by ${grownMiB} MiB`)
  expect([served, outcome]).toEqual([mebibytes * 1024 * 1024, 'verified'])
  expect(grownMiB).toBeLessThan(grownMiBMax)
})
