import { expect, test } from 'vitest'
import { readTraceContext, traceIdOf, traceMembers, traceOfMeta } from './trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const rest = `${traceId}-b7ad6b7169203331`
const traceparent = `00-${rest}-01`

const parents: readonly { name: string; header: unknown; read: string | null }[] = [
  { name: 'as it should be', header: traceparent, read: traceparent },
  { name: 'white space around it', header: ` ${traceparent}\t`, read: traceparent },
  { name: 'flags that mean nothing here', header: `00-${rest}-ff`, read: `00-${rest}-ff` },
  { name: 'a later version', header: `cc-${rest}-01`, read: traceparent },
  { name: 'a later version with more in it', header: `cc-${rest}-09-what-comes`, read: traceparent },
  { name: 'a later version with more that is not set apart', header: `cc-${rest}-01.more`, read: null },
  { name: 'this version with more in it', header: `${traceparent}-more`, read: null },
  { name: 'this version with a dash behind it', header: `${traceparent}-`, read: null },
  { name: 'the version that is none', header: `ff-${rest}-01`, read: null },
  { name: 'letters that are large', header: traceparent.toUpperCase(), read: null },
  { name: 'no trace', header: `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, read: null },
  { name: 'no span', header: `00-${traceId}-${'0'.repeat(16)}-01`, read: null },
  { name: 'two headers in one', header: `${traceparent}, ${traceparent}`, read: null },
  { name: 'a short one', header: traceparent.slice(0, -1), read: null },
  { name: 'letters that are no hex', header: traceparent.replace('a', 'g'), read: null },
  { name: 'an empty one', header: '', read: null },
  { name: 'none', header: undefined, read: null },
  { name: 'something else', header: [traceparent], read: null },
]
for (const { name, header, read } of parents) {
  test(`traceparent: ${name}`, () => {
    expect(readTraceContext(header, 'a=1')?.traceparent ?? null).toBe(read)
  })
}

const entries = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, index) => `k${index}=${'v'.repeat(bytes)}`)
const states: readonly { name: string; header: unknown; read: string | null }[] = [
  { name: 'one entry', header: 'congo=t61rcWkgMzE', read: 'congo=t61rcWkgMzE' },
  { name: 'several, some of them empty', header: 'rojo=1 ,\t, a@vendor=2', read: 'rojo=1,a@vendor=2' },
  { name: 'a key that begins with a digit', header: '1a=2', read: '1a=2' },
  { name: 'a value with spaces in it', header: 'a= b c', read: 'a= b c' },
  { name: 'a key twice', header: 'a=1,a=2', read: null },
  { name: 'a key with a large letter', header: 'A=1', read: null },
  { name: 'a system that begins with a digit', header: 'a@1=1', read: null },
  { name: 'no key', header: '=1', read: null },
  { name: 'no value', header: 'a=', read: null },
  { name: 'no equals sign', header: 'a', read: null },
  { name: 'a sign too many', header: 'a=1=2', read: null },
  { name: 'letters beyond ASCII', header: 'a=\u00fc', read: null },
  { name: 'too many', header: entries(33, 1).join(), read: null },
  { name: 'none', header: undefined, read: null },
  { name: 'an empty one', header: '', read: null },
  {
    name: 'too long: the long ones go first',
    header: ['long='.padEnd(129, 'x'), ...entries(4, 100)].join(),
    read: entries(4, 100).join(),
  },
  { name: 'too long: the oldest go', header: entries(8, 100).join(), read: entries(4, 100).join() },
]
for (const { name, header, read } of states) {
  test(`tracestate: ${name}`, () => {
    expect(readTraceContext(traceparent, header)).toEqual({ traceparent, tracestate: read })
  })
}

test('it comes out of meta as it went in', () => {
  for (const tracestate of [null, 'a=1']) {
    const trace = { traceparent, tracestate }
    expect(traceOfMeta(traceMembers(trace))).toEqual(trace)
  }
  expect(traceOfMeta(null)).toBeNull()
  expect(traceIdOf({ traceparent })).toBe(traceId)
})
