/** A process that is killed at each step of an append (07 §3): what it acknowledged is there, and nothing is half there. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, openLog, readIntents } from './git-repository.ts'

/** `third`: whether the append that was under way is there afterwards. */
const steps: readonly { readonly point: string; readonly third: boolean }[] = [
  { point: 'decisions.pack.written', third: false },
  { point: 'decisions.pack.synced', third: false },
  { point: 'decisions.ref.renamed', third: true },
  { point: 'decisions.ref.synced', third: true },
]

describe('a process that is killed while it appends', () => {
  test.each(steps)('at $point: the log is whole, and the same intents end in one line', async ({ point, third }) => {
    const path = join(scratchDirectory(), 'decisions.git')
    const run = ['decisions/children/append-events.mjs', [path, 'plans', 'a', '4', '1']] as const
    const child = startChild(...run, { environment: { CLAUDEMESH_CRASH_AT: `${point}:3` } })
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    const acknowledged = child.lines.filter((line) => line.startsWith('a/')).map((line) => line.split(' ')[0])
    expect(acknowledged).toEqual(['a/0/0', 'a/1/0'])
    expect(fsck(path)).toBe('')
    expect(await readIntents(await openLog(path), 'plans')).toEqual([...acknowledged, ...(third ? ['a/2/0'] : [])])
    expect(await startChild(...run).exited).toMatchObject({ code: 0, stderr: '' })
    expect(await readIntents(await openLog(path), 'plans')).toEqual(['a/0/0', 'a/1/0', 'a/2/0', 'a/3/0'])
    expect(fsck(path)).toBe('')
  })

  test('while it makes the repository: there is none, and the next one makes it', async () => {
    const path = join(scratchDirectory(), 'decisions.git')
    const run = ['decisions/children/append-events.mjs', [path, 'plans', 'a', '1', '1']] as const
    const child = startChild(...run, { environment: { CLAUDEMESH_CRASH_AT: 'decisions.repository.made' } })
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL' })
    expect(existsSync(path)).toBe(false)
    expect(await startChild(...run).exited).toMatchObject({ code: 0, stderr: '' })
    expect(readdirSync(path)).toContain('HEAD')
  })
})
