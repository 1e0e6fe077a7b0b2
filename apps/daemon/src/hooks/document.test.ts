import { describe, expect, test } from 'vitest'
import { type HookInput, writeDocument } from './document.ts'
import { documentBytesMax } from './limits.ts'
import { compileRedaction, findPathFault } from './redaction.ts'

const inputOf = (data: HookInput['data']): HookInput => ({
  ...{ hook: 'on-dm', event: 'message', event_id: '7', at: 1, mesh: 'home', data },
})

async function written(data: HookInput['data'], paths: readonly string[] = []) {
  const { json, truncated } = writeDocument(inputOf(data), await compileRedaction(paths))
  expect(Buffer.byteLength(json)).toBeLessThanOrEqual(documentBytesMax)
  const document = JSON.parse(json) as { data: Record<string, unknown>; _truncated: boolean }
  expect(document._truncated).toBe(truncated)
  return document
}

describe('what a hook reads', () => {
  test('is all of the event, and says that nothing is missing', async () => {
    expect(await written({ message: 'hello' })).toEqual({ ...inputOf({ message: 'hello' }), _truncated: false })
  })

  test('is cut to 256 KiB between whole characters, and says so', async () => {
    const { data, _truncated } = await written({ message: `x${'😀'.repeat(100_000)}`, id: '1' })
    expect([_truncated, data['id']]).toEqual([true, '1'])
    expect(String(data['message']).isWellFormed()).toBe(true)
    expect(String(data['message']).length).toBeGreaterThan(60_000)
  })

  test('keeps what is short when something else is long, however deep it is', async () => {
    const { data, _truncated } = await written({ message: 'short', meta: { log: ['y'.repeat(1_000_000)] } })
    expect([_truncated, data['message']]).toEqual([true, 'short'])
  })

  test('is nothing of the event where even its names are too many', async () => {
    const many = Object.fromEntries(Array.from({ length: 30_000 }, (_, n) => [`name-${n}`, n]))
    expect(await written(many)).toMatchObject({ data: null, _truncated: true, event_id: '7' })
  })

  const secrets = { meta: { password: 'p', list: [{ secret: 's1', open: 'o' }, { secret: { deep: 's2' } }] } }
  const rows: readonly [paths: readonly string[], meta: unknown][] = [
    [['$.data.meta.password'], { ...secrets.meta, password: '[redacted]' }],
    [
      ['$.data.meta.list[*].secret'],
      { password: 'p', list: [{ secret: '[redacted]', open: 'o' }, { secret: '[redacted]' }] },
    ],
    [
      ['$..secret', '$..deep'],
      { password: 'p', list: [{ secret: '[redacted]', open: 'o' }, { secret: '[redacted]' }] },
    ],
    [["$.data.meta['list'][0]"], { password: 'p', list: ['[redacted]', secrets.meta.list[1]] }],
    [
      ['$.data.meta.list[?@.open == "o"].secret'],
      { password: 'p', list: [{ secret: '[redacted]', open: 'o' }, secrets.meta.list[1]] },
    ],
    [['$.data.nothing', '$.data.meta'], '[redacted]'],
  ]
  test.each(rows)('is without what %j names', async (paths, meta) => {
    const { data } = await written(secrets, paths)
    expect(data['meta']).toEqual(meta)
  })

  test('is nothing of an event that is too deep to be searched for what is redacted', async () => {
    let deep: Record<string, unknown> = { secret: 's' }
    for (let depth = 0; depth < 500; depth += 1) deep = { deep }
    const document = await written(deep, ['$..secret'])
    expect(document).toMatchObject({ data: null, _truncated: true })
  })

  test('leaves the event itself as it was', async () => {
    const data = structuredClone(secrets)
    await written(data, ['$..secret'])
    expect(data).toEqual(secrets)
  })
})

test('a path is one of RFC 9535, or it is said why not', async () => {
  for (const path of ['$.a', "$['a b']", '$..a', '$.a[1:3]', '$[*]']) expect(await findPathFault(path)).toBeNull()
  for (const path of ['$.', '$[', 'a', '$.a b', '$..']) expect(await findPathFault(path)).toMatch(/./)
})
