import { expect, test } from 'vitest'
import { certificatesPerHandshake, handshakeAddressesMax, handshakeBurst, handshakesPerSecond } from '../limits.ts'
import { HandshakeThrottle } from './handshake-throttle.ts'

function createThrottle() {
  const clock = { now: 0 }
  return { clock, throttle: new HandshakeThrottle(() => clock.now) }
}

function spend(throttle: HandshakeThrottle, address: string): number {
  let spent = 0
  while (throttle.take(address) === 0) spent += 1
  return spent
}

test('an address that never gets in is held to the pace after its burst', () => {
  const { clock, throttle } = createThrottle()
  expect(spend(throttle, '192.0.2.1')).toBe(handshakeBurst)
  clock.now += 10_000
  expect(spend(throttle, '192.0.2.1')).toBe(10 * handshakesPerSecond)
})

test('a refusal says when the next handshake may begin, and is right', () => {
  const { clock, throttle } = createThrottle()
  spend(throttle, '192.0.2.1')
  const waitMs = throttle.take('192.0.2.1')
  expect(waitMs).toBeGreaterThan(0)
  clock.now += waitMs
  expect(throttle.take('192.0.2.1')).toBe(0)
})

test('members that are let in come back as often as they like, and leave nothing behind', () => {
  const { throttle } = createThrottle()
  for (let n = 0; n < 10 * handshakeBurst; n += 1) {
    expect(throttle.take('192.0.2.1')).toBe(0)
    throttle.give('192.0.2.1')
  }
  expect(throttle.size).toBe(0)
})

test('one address says nothing of another', () => {
  const { throttle } = createThrottle()
  spend(throttle, '192.0.2.1')
  expect(throttle.take('192.0.2.2')).toBe(0)
})

test('the addresses of one IPv6 host are one, and an IPv4 address is the same in both forms', () => {
  const { throttle } = createThrottle()
  spend(throttle, '2001:db8::1')
  expect(throttle.take('2001:db8:0:0:ffff::2')).toBeGreaterThan(0)
  expect(throttle.take('2001:db8:0:1::1')).toBe(0)
  spend(throttle, '::ffff:192.0.2.1')
  expect(throttle.take('192.0.2.1')).toBeGreaterThan(0)
})

test('whoever comes from ever new addresses fills no memory', () => {
  const { throttle } = createThrottle()
  for (let n = 0; n < handshakeAddressesMax + 1_000; n += 1) throttle.take(`192.0.${n >> 8}.${n & 255}`)
  expect(throttle.size).toBe(handshakeAddressesMax)
})

test('what is verified for somebody that is let in is not given back', () => {
  const { clock, throttle } = createThrottle()
  const chain = 4 * certificatesPerHandshake
  let letIn = 0
  while (throttle.take('192.0.2.1') === 0 && throttle.spend('192.0.2.1', chain)) {
    throttle.give('192.0.2.1')
    letIn += 1
  }
  expect(letIn).toBe(handshakeBurst / 4 - 1)
  // Others have their own, and time gives it back.
  expect(throttle.spend('192.0.2.2', chain)).toBe(true)
  clock.now += (handshakeBurst / handshakesPerSecond) * 1_000
  expect(throttle.take('192.0.2.1')).toBe(0)
})
