/** The example of docs/artifacts.md, as it stands there: the library works with no server. */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'

const run = promisify(execFile)

test('a directory goes in, and all of it comes out verified', async () => {
  const [store, from, to] = [scratchDirectory(), scratchDirectory(), join(scratchDirectory(), 'out')]
  const contents = new Map([
    ['a.txt', Buffer.from('a')],
    ['deep/er/b.bin', Buffer.alloc(2_000_000, 'b')],
    ['deep/same.txt', Buffer.from('a')],
    ['empty', Buffer.alloc(0)],
  ])
  mkdirSync(join(from, 'deep', 'er'), { recursive: true })
  for (const [path, bytes] of contents) writeFileSync(join(from, path), bytes)
  const example = join(import.meta.dirname, '../../docs/artifacts-example.mjs')
  const { stdout, stderr } = await run(process.execPath, [example, store, from, to])
  expect(stderr).toBe('')
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('the views are what the log says')
  for (const [path, bytes] of contents) expect(readFileSync(join(to, path))).toEqual(bytes)
  const written = readdirSync(to, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(written.length).toBe(contents.size)
})
