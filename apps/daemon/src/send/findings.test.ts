import { expect, test } from 'vitest'
import { Findings } from './findings.ts'

function findings() {
  let time = 0
  const found = new Findings<string>({ monotonicMs: () => time, lifeMs: 10, countMax: 2 })
  return { found, wait: (ms: number) => (time += ms) }
}

test('a finding is believed for its life and not longer', () => {
  const { found, wait } = findings()
  found.add('a', 'gone')
  wait(9)
  expect(found.get('a')).toBe('gone')
  wait(1)
  expect([found.get('a'), found.has('a')]).toEqual([null, false])
})

test('a finding that is made again begins its life anew', () => {
  const { found, wait } = findings()
  found.add('a', 'gone')
  wait(9)
  found.add('a', 'gone again')
  wait(9)
  expect(found.get('a')).toBe('gone again')
})

test('the oldest make room', () => {
  const { found } = findings()
  for (const key of ['a', 'b', 'a', 'c']) found.add(key, key)
  expect(['a', 'b', 'c'].filter((key) => found.has(key))).toEqual(['a', 'c'])
})

test('draining gives everything back once, however old', () => {
  const { found, wait } = findings()
  found.add('a', '1')
  wait(100)
  expect([found.drain(), found.drain()]).toEqual([['1'], []])
})

test('what is forgotten is gone', () => {
  const { found } = findings()
  found.add('a', '1')
  found.forget('a')
  expect(found.has('a')).toBe(false)
})
