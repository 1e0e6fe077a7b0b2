import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { HostFingerprint } from '@claudemesh/identity'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { type ClonePolicy, checkHost } from './host-fingerprint.ts'

const host = (digit: string): (() => HostFingerprint) => {
  return () => ({ fingerprint: digit.repeat(64), basis: 'machine_id', warning: null })
}

test('the first host is accepted, and is the same at every later start', () => {
  const path = join(scratchDirectory(), 'host_fingerprint.json')
  const first = checkHost({ path, policy: 'refuse', read: host('a') })
  expect(first).toEqual({ fingerprint: 'a'.repeat(64), basis: 'machine_id', isAccepted: true, warning: null })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(checkHost({ path, policy: 'refuse', read: host('a') })).toEqual(first)
})

const policies: readonly { readonly policy: ClonePolicy; readonly outcome: 'refused' | 'runs' }[] = [
  { policy: 'refuse', outcome: 'refused' },
  { policy: 'warn', outcome: 'runs' },
  { policy: 'allow', outcome: 'runs' },
]

for (const { policy, outcome } of policies) {
  test(`another host is ${outcome === 'runs' ? 'told of and let run' : 'refused'} under the policy ${policy}`, () => {
    const path = join(scratchDirectory(), 'host_fingerprint.json')
    checkHost({ path, policy, read: host('a') })
    const check = () => checkHost({ path, policy, read: host('b') })
    if (outcome === 'refused') {
      expect(check).toThrow(
        expect.objectContaining({ code: 'host_changed', hint: expect.stringMatching(/accept-host.*remint/) }),
      )
    } else {
      expect(check()).toMatchObject({ isAccepted: false, fingerprint: 'b'.repeat(64) })
    }
    expect(checkHost({ path, policy, read: host('a') }).isAccepted, 'nothing was written over').toBe(true)
  })
}

test('a host that shows nothing of itself keeps its random id, and the warning', () => {
  const path = join(scratchDirectory(), 'host_fingerprint.json')
  const nothing = (): HostFingerprint => ({ fingerprint: 'c'.repeat(64), basis: 'random', warning: 'nothing' })
  expect(checkHost({ path, policy: 'refuse', read: nothing }).warning).toBe('nothing')
})
