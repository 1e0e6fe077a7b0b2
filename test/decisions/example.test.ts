/** The example of docs/spaces.md, as it stands there. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'

const run = promisify(execFile)
const example = join(import.meta.dirname, '../../docs/spaces-example.mjs')

const said = `decision 1 of plans
database is postgres
it was sqlite
because of decision 1: state {"key":"database","value":"sqlite"}
because of decision 2: state {"key":"database","value":"postgres"}
because of decision 4: alias {"name":"db","target":"database"}
`

test('a space is decided in and asked, in memory and in git, where it stays', async () => {
  expect(await run(process.execPath, [example])).toEqual({ stdout: said, stderr: '' })
  const repository = join(scratchDirectory(), 'decisions.git')
  for (const time of ['first', 'second']) {
    const { stdout, stderr } = await run(process.execPath, [example, repository])
    expect([time, stdout, stderr]).toEqual([time, said, ''])
  }
  const { stdout } = await run('git', ['-C', repository, 'log', '--format=%an %s', 'spaces/plans'])
  expect(stdout.trimEnd().split('\n').length).toBe(4)
})
