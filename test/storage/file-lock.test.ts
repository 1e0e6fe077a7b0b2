import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FileLock, isLocked } from '@claudemesh/storage'
import { expect, test } from 'vitest'
import { type Child, startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

/** Starts a process that is ready to take locks. */
async function startHolder(): Promise<Child> {
  const holder = startChild('storage/children/hold-lock.mjs', [])
  await holder.printed(1)
  return holder
}

/** Has the process try for the lock, and tells what it said: `held` or `busy`. */
async function tryLock(holder: Child, path: string): Promise<string | undefined> {
  const answered = holder.lines.length
  holder.process.stdin?.write(`${path}\n`)
  return (await holder.printed(answered + 1))[answered]
}

test('a lock held by another process keeps this one out', async () => {
  const path = join(scratchDirectory(), 'lock')
  expect(await tryLock(await startHolder(), path)).toBe('held')
  expect(isLocked(path)).toBe(true)
  expect(FileLock.acquire(path)).toBeNull()
})

test('the lock is gone the instant its process is killed', async () => {
  const path = join(scratchDirectory(), 'lock')
  const holder = await startHolder()
  expect(await tryLock(holder, path)).toBe('held')
  holder.process.kill('SIGKILL')
  expect((await holder.exited).signal).toBe('SIGKILL')
  expect(isLocked(path)).toBe(false)
  const lock = FileLock.acquire(path)
  expect(lock).not.toBeNull()
  lock?.release()
})

test('what a dead process left beside the lock keeps nobody out', async () => {
  const directory = scratchDirectory()
  writeFileSync(join(directory, 'pid'), String(process.pid))
  writeFileSync(join(directory, 'lock'), '', { mode: 0o600 })
  writeFileSync(join(directory, 'lock-journal'), '')
  expect(await tryLock(await startHolder(), join(directory, 'lock'))).toBe('held')
})

test('of six processes that race exactly one holds the lock, fifteen times', async () => {
  const directory = scratchDirectory()
  const starters = await Promise.all(Array.from({ length: 6 }, startHolder))
  for (let round = 0; round < 15; round += 1) {
    const path = join(directory, `lock-${round}`)
    const answers = await Promise.all(starters.map((starter) => tryLock(starter, path)))
    expect(answers.toSorted()).toEqual(['busy', 'busy', 'busy', 'busy', 'busy', 'held'])
  }
})

test('a process that looks whether the lock is held does not keep a starter from taking it', async () => {
  const directory = scratchDirectory()
  const starter = await startHolder()
  for (let round = 0; round < 20; round += 1) {
    const path = join(directory, `lock-${round}`)
    let answer: string | undefined
    const attempt = tryLock(starter, path).then((said) => {
      answer = said
    })
    while (answer === undefined) {
      isLocked(path)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await attempt
    expect(answer).toBe('held')
  }
})
