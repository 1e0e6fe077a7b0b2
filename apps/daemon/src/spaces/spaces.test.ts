import { existsSync } from 'node:fs'
import { daemonPaths, type ErrorCode } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { memberIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { Spaces } from './spaces.ts'

const alice = memberIdOf('alice')
const choice = (value: string) => [{ kind: 'state', actor: alice, payload: { key: 'database', value } }] as const
const diskPressure = () => 'ok' as const
const refusal = (code: ErrorCode) => expect.objectContaining({ code })

/** Spaces on real files. `start` opens them as another process would, once the one before has closed them or died. */
function repository() {
  const paths = daemonPaths(scratchDirectory(), 'team')
  const runtime = new ManualRuntime()
  const start = (config = {}) => {
    const settings = { repository: null, objectFormat: 'sha1', leaseTermMs: 15_000, ...config } as const
    const spaces = new Spaces({ paths, config: settings, selfId: alice, diskPressure, runtime, log: silentLog() })
    onTestFinished(() => spaces.close())
    return spaces
  }
  return { paths, start }
}

test('without a decision there is no repository', async () => {
  const { paths, start } = repository()
  const spaces = start()
  expect([await spaces.names(), spaces.status]).toEqual([[], 'idle'])
  expect(existsSync(paths.spaces)).toBe(false)
})

test('nothing is decided in a space that is not there', async () => {
  const spaces = repository().start()
  await expect(spaces.append('plans', choice('sqlite'), { intentId: 'i1' })).rejects.toEqual(refusal('space_unknown'))
  await expect(spaces.statusOf('plans')).rejects.toEqual(refusal('space_unknown'))
  await expect(spaces.create('Plans')).rejects.toEqual(refusal('invalid_space'))
  expect(await spaces.names()).toEqual([])
})

test('a space that was made is there, empty, also for the next process, and is made once', async () => {
  const { start } = repository()
  const before = start()
  expect([await before.create('plans'), await before.create('plans')]).toEqual([true, false])
  await before.close()
  const after = start()
  expect(await after.names()).toEqual(['plans'])
  expect(await after.statusOf('plans')).toMatchObject({ seq: 0, head: null, damage: null })
  expect(await after.create('plans')).toBe(false)
})

test('what was decided is answered again to the same intent, also by the next process', async () => {
  const { start } = repository()
  const before = start()
  await before.create('plans')
  const events = await before.append('plans', choice('sqlite'), { intentId: 'i1' })
  expect(events).toMatchObject([{ seq: 1, actor: alice, intent_id: 'i1' }])
  // Not closed: it has the lease, which is this member's in the next process too.
  const after = start()
  expect(await after.append('plans', choice('sqlite'), { intentId: 'i1' })).toEqual(events)
  expect(await after.append('plans', choice('postgres'), { intentId: 'i2' })).toMatchObject([{ seq: 2 }])
})

test('a repository that is none is told of, and stays as it is', async () => {
  const spaces = repository().start({ repository: import.meta.dirname })
  await expect(spaces.create('plans')).rejects.toEqual(refusal('not_a_repository'))
  expect([spaces.status, spaces.failure]).toEqual(['down', refusal('not_a_repository')])
})
