import type { SendRequest } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Capabilities, capabilityPattern, type Grant, permitSend } from './capabilities.ts'
import { tokenLifeMs } from './limits.ts'

const sender = { id: 'a'.repeat(64), name: 'alice' }
const messageId = '01JZZZZZZZZZZZZZZZZZZZZZZZ'
const direct: Grant['subject'] = {
  key: messageId,
  sender,
  answerTo: sender.id,
  messageId,
  isAutoReply: false,
  trace: null,
}

function permitted(
  capabilities: readonly string[],
  request: Partial<SendRequest>,
  subject = direct,
): SendRequest | null {
  try {
    return permitSend({ hook: 'on-dm', subject, capabilities }, { to: '', message: 'm', ...request })
  } catch (error) {
    expect(error).toMatchObject({ code: 'capability_missing', status: 403 })
    return null
  }
}

describe('a token', () => {
  function issuing() {
    const clock = { nowMs: 0 }
    const capabilities = new Capabilities({ monotonicMs: () => clock.nowMs })
    const { token, revoke } = capabilities.issue({ hook: 'on-dm', subject: direct, capabilities: ['reply:event'] })
    return { clock, capabilities, token, revoke }
  }

  test('is good until its hook ends', () => {
    const { capabilities, token, revoke } = issuing()
    expect(capabilities.grantOf(`Bearer ${token}`)).toMatchObject({ hook: 'on-dm' })
    revoke()
    expect(() => capabilities.grantOf(`Bearer ${token}`)).toThrow('no capability token')
  })

  test('is good for five minutes, whatever the hook does', () => {
    const { clock, capabilities, token } = issuing()
    clock.nowMs = tokenLifeMs - 1
    capabilities.grantOf(`Bearer ${token}`)
    clock.nowMs = tokenLifeMs
    expect(() => capabilities.grantOf(`Bearer ${token}`)).toThrow('no capability token')
  })

  test('is not guessed, and is nothing else than it is', () => {
    const { capabilities, token } = issuing()
    for (const header of [undefined, '', token, `Basic ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(1)}A`]) {
      expect(() => capabilities.grantOf(header), header).toThrow()
    }
  })
})

describe('a send of a hook', () => {
  test('goes to the id of the sender, however that was written', () => {
    for (const to of ['alice', '@alice', sender.id]) {
      expect(permitted(['dm:send:<sender>'], { to })?.to).toBe(sender.id)
      expect(permitted(['reply:event'], { to, replyToId: messageId })?.to).toBe(sender.id)
    }
  })

  test('says that it is the answer of a hook, and has a key that is the hook’s own', () => {
    const request = permitted(['dm:send:<sender>'], { to: 'alice', meta: { a: 1 }, client_message_id: 'mine' })
    expect(request?.meta).toEqual({ a: 1, auto_reply: true })
    expect(request?.client_message_id).toBe(`hook:on-dm:${messageId}:mine`)
  })

  test('that nobody stands behind goes nowhere but to topics', () => {
    const nobody = { key: '7', sender: null, answerTo: null, messageId: null, isAutoReply: false, trace: null }
    const all = ['reply:event', 'dm:send:<sender>', 'topic:builds:post']
    expect(permitted(all, { to: '#builds' }, nobody)?.to).toBe('#builds')
    expect(permitted(all, { to: 'alice' }, nobody)).toBeNull()
  })

  test('goes nowhere that is not named, whatever it asks for', () => {
    const names = [
      'alice',
      '@alice',
      'bob',
      '@@alice',
      'ALICE',
      'alice ',
      '#builds',
      '#Builds',
      '##builds',
      'queue:builds',
    ]
    const to = fc.oneof(fc.constantFrom(...names, sender.id, 'b'.repeat(64), '#other', '#'), fc.string())
    const capabilities = fc.subarray(['reply:event', 'dm:send:<sender>', 'topic:builds:post'])
    const replyToId = fc.constantFrom(undefined, messageId, '01JZZZZZZZZZZZZZZZZZZZZZZY')
    fc.assert(
      fc.property(capabilities, to, replyToId, (held, destination, reply) => {
        const request = permitted(held, { to: destination, ...(reply === undefined ? {} : { replyToId: reply }) })
        const allowed = [
          ...(held.includes('topic:builds:post') ? ['#builds'] : []),
          ...(held.includes('dm:send:<sender>') || (held.includes('reply:event') && reply === messageId)
            ? [sender.id]
            : []),
        ]
        expect(request === null || allowed.includes(request.to)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

test('capabilities have three forms', () => {
  for (const text of ['reply:event', 'dm:send:<sender>', 'topic:a:post', 'topic:a.b-c_1:post']) {
    expect(capabilityPattern.test(text), text).toBe(true)
  }
  for (const text of [
    '',
    'reply',
    'reply:event ',
    'dm:send:bob',
    'topic::post',
    'topic:*:post',
    'topic:A:post',
    'inbox:read',
  ]) {
    expect(capabilityPattern.test(text), text).toBe(false)
  }
})
