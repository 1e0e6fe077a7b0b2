import { describe, expect, test } from 'vitest'
import { isHookName, triggerOf } from './triggers.ts'

const self = 'a'.repeat(64)
const dm = { opened: true, destination_kind: 'dm', destination_ref: self, mentions: [] }
const toBuilds = { opened: true, destination_kind: 'topic', destination_ref: 'builds', mentions: [] }
const mentioning = { ...toBuilds, mentions: ['b'.repeat(64), self] }

const rows: readonly [hook: string, type: string, fires: readonly object[], rests: readonly object[]][] = [
  ['on-message', 'message', [dm, toBuilds, mentioning], [{ ...dm, opened: false }]],
  ['on-dm', 'message', [dm], [toBuilds, { ...dm, opened: false }]],
  ['on-mention', 'message', [mentioning], [dm, toBuilds, { ...mentioning, mentions: null }]],
  ['on-topic-builds', 'message', [toBuilds, mentioning], [dm, { ...toBuilds, destination_ref: 'build' }]],
  ['on-topic-on-dm', 'message', [{ ...toBuilds, destination_ref: 'on-dm' }], [dm, toBuilds]],
  ['on-file-share', 'file_shared', [{}], []],
  ['on-disconnect', 'daemon_disconnect', [{}], []],
  ['on-reconnect', 'daemon_reconnect', [{}], []],
  ['on-startup', 'daemon_start', [{}], []],
]

describe('the table of hooks', () => {
  test.each(rows)('%s is fired by %s, and only where it is meant', (hook, type, fires, rests) => {
    const trigger = triggerOf(hook)
    expect(trigger?.type).toBe(type)
    expect(fires.map((data) => trigger?.matches({ ...data }, self))).toEqual(fires.map(() => true))
    expect(rests.map((data) => trigger?.matches({ ...data }, self))).toEqual(rests.map(() => false))
  })

  test('has no other names', () => {
    expect([isHookName('pre-send'), triggerOf('pre-send')]).toEqual([true, null])
    for (const name of ['', 'on-', 'on-topic-', 'on-topic-A', 'on-topic-../x', 'toString', 'post-send', 'On-dm']) {
      expect(isHookName(name), name).toBe(false)
    }
  })
})
