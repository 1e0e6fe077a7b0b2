import { describe, expect, test } from 'vitest'
import { readThread, type ThreadMessage, type ThreadSource } from './threads.ts'

/** `id<parent` in order of acceptance. */
function source(...edges: readonly string[]): ThreadSource<ThreadMessage> {
  const messages = edges.map((edge, index) => {
    const [id = '', parent = null] = edge.split('<')
    return { id, reply_to_id: parent, accepted_at: index }
  })
  return {
    get: (id) => messages.find((message) => message.id === id) ?? null,
    repliesTo: (id, limit) => messages.filter((message) => message.reply_to_id === id).slice(0, limit),
  }
}

describe('a thread', () => {
  const tree = source('a', 'b<a', 'c<a', 'd<b', 'e<d', 'x', 'y<x')
  const rows: readonly { id: string; found: string }[] = [
    { id: 'a', found: 'abcde' },
    { id: 'e', found: 'abcde' },
    { id: 'c', found: 'abcde' },
    { id: 'y', found: 'xy' },
  ]
  for (const { id, found } of rows) {
    test(`asked for by ${id} is the whole tree from its root, breadth first`, () => {
      const thread = readThread({ sources: [tree], id, messagesMax: 100 })
      expect(thread?.messages.map((message) => message.id).join('')).toBe(found)
      expect(thread).toMatchObject({ root: found[0], truncated: false })
    })
  }

  test('joins what was received with what was sent', () => {
    const thread = readThread({ sources: [source('a', 'c<b'), source('b<a')], id: 'c', messagesMax: 100 })
    expect(thread?.messages.map((message) => message.id)).toEqual(['a', 'b', 'c'])
  })

  test('is null for a message that nobody has', () => {
    expect(readThread({ sources: [tree], id: 'nobody', messagesMax: 100 })).toBeNull()
  })

  test('whose beginning is not here begins at the oldest message that is, and says so', () => {
    const thread = readThread({ sources: [source('b<gone', 'c<b')], id: 'c', messagesMax: 100 })
    expect(thread).toMatchObject({ root: 'b', truncated: true })
    expect(thread?.messages).toHaveLength(2)
  })

  test('that runs in a circle ends', () => {
    const thread = readThread({ sources: [source('a<c', 'b<a', 'c<b')], id: 'b', messagesMax: 100 })
    expect(thread?.messages).toHaveLength(3)
    expect(thread?.truncated).toBe(true)
  })

  test('that answers itself ends', () => {
    const thread = readThread({ sources: [source('a<a')], id: 'a', messagesMax: 100 })
    expect(thread).toMatchObject({ root: 'a', truncated: true })
  })

  test('beyond the bound is cut and says so, in depth and in breadth', () => {
    const chain = source('m0', ...Array.from({ length: 50 }, (_, index) => `m${index + 1}<m${index}`))
    expect(readThread({ sources: [chain], id: 'm50', messagesMax: 10 })).toMatchObject({ truncated: true })
    const star = source('m0', ...Array.from({ length: 50 }, (_, index) => `m${index + 1}<m0`))
    const cut = readThread({ sources: [star], id: 'm0', messagesMax: 10 })
    expect(cut?.messages).toHaveLength(10)
    expect(cut?.truncated).toBe(true)
  })

  test('of exactly the bound is whole', () => {
    expect(readThread({ sources: [tree], id: 'a', messagesMax: 5 })).toMatchObject({ truncated: false })
  })
})
