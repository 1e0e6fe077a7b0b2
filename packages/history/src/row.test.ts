import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { formatPartition, parsePartition } from './partition.ts'
import { type HistoryContent, rowId } from './row.ts'

const content: HistoryContent = {
  direction: 'sent',
  mesh: 'home',
  at: 1_700_000_000_000,
  sender: 'a'.repeat(64),
  destination: '#deploys',
  client_message_id: 'build-1',
  broker_message_id: null,
  history_id: null,
  body: 'green',
  meta: { b: 1, a: [2] },
  state: 'accepted',
}

describe('the digest of a row', () => {
  test('is over a canonical array that any language can write', () => {
    const text =
      `["messages/mesh=home","sent","home",1700000000000,"${'a'.repeat(64)}","#deploys","build-1",null,null,"green",` +
      String.raw`"{\"a\":[2],\"b\":1}","accepted"]`
    expect(rowId('messages/mesh=home', content)).toBe(createHash('sha256').update(text).digest('hex'))
  })

  test('differs as soon as anything in the row does', () => {
    const changed = (Object.keys(content) as (keyof HistoryContent)[]).map((column) =>
      rowId('messages/mesh=home', { ...content, [column]: column === 'meta' ? { a: 1 } : 7 }),
    )
    const all = [rowId('messages/mesh=home', content), rowId('messages/mesh=work', content), ...changed]
    expect(new Set(all).size).toBe(all.length)
  })
})

test('a partition has one name, and no name leads out of its directory', () => {
  expect(formatPartition({ dataset: 'messages', source: 'mesh=home' })).toBe('messages/mesh=home')
  expect(parsePartition('messages/mesh=home')).toEqual({ dataset: 'messages', source: 'mesh=home' })
  for (const name of ['messages', 'messages/..', '../mesh=home', 'messages/mesh=home/x', 'a/mesh=', '']) {
    expect(parsePartition(name), name).toBe(null)
  }
})
