import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LogFile } from './log-file.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/claudemesh-log-`)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('the file is private, rotated by size, and old ones go', () => {
  const path = `${directory}/name.log`
  const file = new LogFile({ path, bytesMax: 100, filesKept: 2 })
  const line = `${'x'.repeat(59)}\n`
  for (const name of ['1', '2', '3', '4', '5']) file.write(name + line)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect([path, `${path}.1`, `${path}.2`].map((each) => readFileSync(each, 'utf8')[0])).toEqual(['5', '4', '3'])
  expect(() => readFileSync(`${path}.3`)).toThrow('ENOENT')
  file.close()
})

test('a line that cannot be written is dropped and counted, and hurts nobody', () => {
  const file = new LogFile({ path: `${directory}/name.log`, bytesMax: 100, filesKept: 1 })
  file.close()
  file.write('after the end\n')
  expect(file.dropped).toBe(1)
})
