import { readFileSync } from 'node:fs'
import { errorCatalogue } from '@claudemesh/protocol'
import { Option } from 'commander'
import { describe, expect, test } from 'vitest'
import type { Resolution } from './command.ts'
import { commandTree, nearestWord, resolveCommand } from './command-tree.ts'

const lines: readonly { line: string; means: string; rest?: readonly string[] }[] = [
  { line: 'send --to @bob hi', means: 'send', rest: ['--to', '@bob', 'hi'] },
  { line: 'send inbox', means: 'send', rest: ['inbox'] },
  { line: '--mesh team send hi', means: 'send', rest: ['--mesh', 'team', 'hi'] },
  { line: '--mesh=team --json daemon outbox list', means: 'daemon outbox list', rest: ['--mesh=team', '--json'] },
  { line: 'daemon --json status', means: 'daemon status', rest: ['--json'] },
  { line: 'inbox', means: 'inbox', rest: [] },
  { line: 'inbox --unread', means: 'inbox', rest: ['--unread'] },
  { line: 'inbox read X', means: 'inbox read', rest: ['X'] },
  { line: 'inbox unread', means: 'inbox', rest: ['unread'] },
  { line: 'join -', means: 'join', rest: ['-'] },
  { line: 'send --help', means: 'send', rest: ['--help'] },
  { line: 'help send', means: 'send', rest: ['--help'] },
  { line: 'help daemon outbox', means: 'help: daemon outbox' },
  { line: '--help', means: 'help: ' },
  { line: 'daemon --help', means: 'help: daemon' },
  { line: '', means: 'incomplete: ' },
  { line: 'daemon', means: 'incomplete: daemon' },
  { line: 'daemon outbox --json', means: 'incomplete: daemon outbox' },
  { line: 'sned', means: 'unknown: sned, send' },
  { line: 'daemon stauts', means: 'unknown: stauts, status' },
  { line: 'daemon outbox purge', means: 'unknown: purge, prune' },
  { line: 'frobnicate', means: 'unknown: frobnicate, null' },
  { line: '--verbose', means: 'unknown: --verbose, null' },
]

function describeResolution(resolution: Resolution): string {
  switch (resolution.kind) {
    case 'command':
      return resolution.entry.words.join(' ')
    case 'unknown':
      return `unknown: ${resolution.word}, ${resolution.near}`
    default:
      return `${resolution.kind}: ${resolution.group.join(' ')}`
  }
}

describe('a command line', () => {
  for (const { line, means, rest } of lines) {
    test(`"${line}" is ${means}`, () => {
      const resolution = resolveCommand(line === '' ? [] : line.split(' '))
      expect(describeResolution(resolution)).toBe(means)
      if (resolution.kind === 'command') expect(resolution.rest).toEqual(rest)
    })
  }
})

const typingErrors: readonly { word: string; near: string | null }[] = [
  { word: 'statsu', near: 'status' },
  { word: 'star', near: 'start' },
  { word: 'strt', near: 'start' },
  { word: 'xyz', near: null },
]

describe('a typing error', () => {
  for (const { word, near } of typingErrors) {
    test(`${word} is near ${near}`, () => {
      expect(nearestWord(word, ['start', 'stop', 'restart', 'status'])).toBe(near)
    })
  }
})

describe('the hint of an error', () => {
  for (const [code, { hint }] of Object.entries(errorCatalogue)) {
    for (const [, line = ''] of hint.matchAll(/`claudemesh ([^`]+)`/g)) {
      test(`${code} names a command that there is: ${line}`, () => {
        expect(['command', 'help']).toContain(resolveCommand(line.split(' ')).kind)
      })
    }
  }
})

describe('every command', () => {
  for (const { words, load } of commandTree) {
    const name = words.join(' ')

    test(`${name} has a summary and examples that call it`, async () => {
      const { summary, examples } = await load()
      expect(summary).toMatch(/^[A-Z].*[^.]$/)
      expect(examples.length).toBeGreaterThan(0)
      expect(examples.some(({ line }) => line.includes(`claudemesh ${name}`))).toBe(true)
    })

    test(`${name} reads every option that it declares`, async () => {
      const { options = [] } = await load()
      const source = optionReaders(words)
      for (const { syntax } of options) {
        const option = new Option(syntax).long?.replace(/^--/, '')
        expect(source, `--${option} is read`).toMatch(new RegExp(`\\((['"])${option}\\1[,)]`))
      }
    })
  }
})

/** The sources in which a command's options are read: its own file, and those that it shares options with. */
function optionReaders(words: readonly string[]): string {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const tree = read('./command-tree.ts')
  const path = new RegExp(`entry\\('${words.join(' ')}', async \\(\\) => \\(await import\\('([^']+)'\\)`).exec(
    tree,
  )?.[1]
  if (path === undefined) throw new Error(`${words.join(' ')} has a line of its own in the tree`)
  const own = read(path)
  const shared = [
    ...own.matchAll(/from '(?:\.\.\/)+((?:sending|outbox-id|artifacts\/new-package|install\/command)\.ts)'/g),
  ].map(([, file = '']) => file)
  return [own, ...shared.map((file) => read(`./${file}`))].join('\n')
}
