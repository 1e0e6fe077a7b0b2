/** Hosts and disks on which a log in git cannot do what it should (07 §8): a clear error, and nothing is lost. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GitDecisionLog } from '@claudemesh/decisions'
import { describe, expect, test } from 'vitest'
import { bundledChild, startChild } from '../support/child.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, openLog, readIntents } from './git-repository.ts'

const program = 'decisions/children/append-events.mjs'
const space = 'plans'

describe('git', () => {
  test('that is missing is git_missing', async () => {
    const path = join(scratchDirectory(), 'decisions.git')
    const child = startChild(program, [path, space, 'a', '1', '1'], { environment: { PATH: scratchDirectory() } })
    const { code, stderr } = await child.exited
    expect([code, stderr]).toEqual([1, expect.stringContaining("code: 'git_missing'")])
  })

  test.each(['git version 2.37.9', 'git version 1.9.1', 'git version 2.37.1 (Apple Git-137)'])(
    'that is too old (%s) is git_too_old',
    async (version) => {
      const programs = scratchDirectory()
      writeFileSync(join(programs, 'git'), `#!/bin/sh\necho "${version}"\n`)
      chmodSync(join(programs, 'git'), 0o755)
      const path = join(scratchDirectory(), 'decisions.git')
      const environment = { PATH: `${programs}:${process.env['PATH']}` }
      const { code, stderr } = await startChild(program, [path, space, 'a', '1', '1'], { environment }).exited
      expect([code, stderr]).toEqual([1, expect.stringContaining("code: 'git_too_old'")])
    },
  )
})

describe('a path', () => {
  test('of something else is not_a_repository, also inside of a repository, and stays as it is', async () => {
    const path = scratchDirectory()
    writeFileSync(join(path, 'file'), 'text')
    await expect(GitDecisionLog.open({ path })).rejects.toMatchObject({ code: 'not_a_repository' })
    const repository = join(scratchDirectory(), 'decisions.git')
    await openLog(repository)
    await expect(GitDecisionLog.open({ path: join(repository, 'objects') })).rejects.toMatchObject({
      code: 'not_a_repository',
    })
    await expect(GitDecisionLog.open({ path: join(path, 'file') })).rejects.toMatchObject({ code: 'not_a_repository' })
  })
})

describe.skipIf(whyNotRecordable() !== null)('a disk', () => {
  /** Runs the program somewhere. @returns how it ended, and which intents were acknowledged */
  async function run(launcher: readonly string[], args: readonly string[]) {
    const [launch = '', ...rest] = [...launcher, process.execPath, bundledChild(program), ...args]
    const child = spawn(launch, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk)
    })
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    const acknowledged = [...output.matchAll(/^(\S+\/\S+) \d+$/gm)].map(([, intent]) => intent)
    return { code, stderr, acknowledged }
  }

  test('that is full refuses with insufficient_storage, keeps what was acknowledged, and goes on when there is room', async () => {
    const scratch = scratchDirectory()
    const directory = join(scratch, 'recorded')
    mkdirSync(directory, { mode: 0o700 })
    const path = join(directory, 'decisions.git')
    const recording = await Recording.start({ directory, trace: join(scratch, 'trace') })
    const args = [path, space, 'a', '40', '2']
    recording.setFaults('enospc=60000')
    const full = await run(recording.launcher, args)
    expect([full.code, full.stderr]).toEqual([1, expect.stringContaining("code: 'insufficient_storage'")])
    expect(full.acknowledged.length).toBeGreaterThan(0)
    recording.setFaults()
    const roomy = await run(recording.launcher, args)
    expect([roomy.code, roomy.stderr]).toEqual([0, ''])
    await recording.end()
    const intents = await readIntents(await openLog(path), space)
    expect(intents).toEqual(expect.arrayContaining(full.acknowledged))
    expect(intents.length).toBe(80)
    expect(fsck(path)).toBe('')
  })

  test('that cannot be written is storage_failed to who appends, and can be read', async () => {
    const directory = scratchDirectory()
    const path = join(directory, 'decisions.git')
    expect((await run([], [path, space, 'a', '2', '1'])).code).toBe(0)
    const mounts = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    const readOnly = ['unshare', '--mount', 'sh', '-c', mounts, directory]
    const repeated = await run(readOnly, [path, space, 'a', '2', '1'])
    expect(repeated.acknowledged, 'what is there already').toEqual(['a/0/0', 'a/1/0'])
    const refused = await run(readOnly, [path, space, 'b', '1', '1'])
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("code: 'storage_failed'")])
    expect(await readIntents(await openLog(path), space)).toEqual(['a/0/0', 'a/1/0'])
  })
})
