import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lastLines, readNewLines } from './log-file.ts'

let directory: string
let path: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'claudemesh-log-'))
  path = join(directory, 'daemon.log')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function taken(from: ReturnType<typeof readNewLines>) {
  const lines: string[] = []
  return { position: readNewLines(path, from, (line) => lines.push(line)), lines }
}

describe('the last lines of a log', () => {
  test('are as many as were asked for', () => {
    writeFileSync(path, 'one\ntwo\nthree\n')
    expect(lastLines(path, 2).lines).toEqual(['two', 'three'])
    expect(lastLines(path, 9).lines).toEqual(['one', 'two', 'three'])
    expect(lastLines(path, 0).lines).toEqual([])
  })

  test('are found in a file of many chunks', () => {
    const all = Array.from({ length: 20_000 }, (_, index) => `line ${index}`)
    writeFileSync(path, `${all.join('\n')}\n`)
    expect(lastLines(path, 12_000).lines).toEqual(all.slice(-12_000))
  })

  test('are none without a file', () => {
    expect(lastLines(path, 5)).toEqual({ lines: [], end: null })
  })
})

describe('following a log', () => {
  test('goes on behind the last lines, with complete lines only', () => {
    writeFileSync(path, 'one\ntwo\nthr')
    const { lines, end } = lastLines(path, 9)
    expect(lines).toEqual(['one', 'two'])
    expect(taken(end).lines).toEqual([])
    appendFileSync(path, 'ee\nfour\n')
    expect(taken(end).lines).toEqual(['three', 'four'])
  })

  test('begins anew when the file was rotated away', () => {
    writeFileSync(path, 'one\n')
    const { end } = lastLines(path, 9)
    renameSync(path, `${path}.1`)
    writeFileSync(path, 'two\n')
    const { lines, position } = taken(end)
    expect(lines).toEqual(['two'])
    expect(taken(position).lines).toEqual([])
  })

  test('waits for a file that is not there yet', () => {
    expect(taken(null)).toEqual({ position: null, lines: [] })
    writeFileSync(path, 'one\n')
    expect(taken(null).lines).toEqual(['one'])
  })
})
