import { expect, test } from 'vitest'
import { toSearchExpression } from './search-query.ts'

const rows: readonly { readonly text: string; readonly expression: string | null; readonly why: string }[] = [
  { text: 'build failed', expression: '"build" AND "failed"', why: 'words must all be there' },
  { text: '"build failed"', expression: '"build failed"', why: 'quotes make a phrase' },
  { text: 'say "build failed', expression: '"say" AND "build failed"', why: 'an open quote ends at the end' },
  { text: 'fail*', expression: '"fail" *', why: 'a star makes a prefix' },
  { text: '"build fa"*', expression: '"build fa" *', why: 'a phrase can end in a prefix' },
  { text: '*', expression: null, why: 'a star alone is no word' },
  { text: '!!! ... "', expression: null, why: 'no word, no expression' },
  { text: 'c++ (draft)', expression: '"c++" AND "(draft)"', why: 'marks inside a word are left to the tokenizer' },
  { text: 'a AND NOT b', expression: '"a" AND "AND" AND "NOT" AND "b"', why: 'operators are words' },
  { text: 'body:x ^y', expression: '"body:x" AND "^y"', why: 'column filters are words' },
  { text: 'one\u0000two', expression: '"one two"', why: 'a zero byte is a blank' },
  { text: '日本* déjà', expression: '"日本" * AND "déjà"', why: 'words of any script' },
]

for (const { text, expression, why } of rows) {
  test(`${why}: ${JSON.stringify(text)}`, () => {
    expect(toSearchExpression(text)).toBe(expression)
  })
}

test('a text of very many words is cut, not refused', () => {
  const expression = toSearchExpression('word '.repeat(1000))
  expect(expression?.split(' AND ')).toHaveLength(32)
})
