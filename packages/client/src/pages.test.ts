import { describe, expect, test } from 'vitest'
import { eachRow } from './pages.ts'

const pages = new Map<string | null, { rows: readonly number[]; next: string | null }>([
  [null, { rows: [1, 2], next: 'two' }],
  ['two', { rows: [], next: 'three' }],
  ['three', { rows: [3], next: null }],
])

async function fetchPage(after: string | null) {
  const page = pages.get(after)
  if (page === undefined) throw new Error(`no page after ${after}`)
  return page
}

describe('iterating over pages', () => {
  test('yields every row once, in order, across empty pages', async () => {
    const rows: number[] = []
    for await (const row of eachRow(fetchPage)) rows.push(row)
    expect(rows).toEqual([1, 2, 3])
  })

  test('fetches a page only when its rows are asked for', async () => {
    const fetched: (string | null)[] = []
    const rows = eachRow(async (after) => {
      fetched.push(after)
      return await fetchPage(after)
    })
    await rows.next()
    await rows.next()
    expect(fetched).toEqual([null])
  })
})
