/** The examples that help shows are command lines that their commands take. */
import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { commandTree, resolveCommand } from './command-tree.ts'
import { Terminal } from './output/terminal.ts'
import { buildParser } from './program.ts'

const nowhere = Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), { isTTY: false })
const terminal = new Terminal({ stdout: nowhere, stderr: nowhere, json: false, colour: 'never' })

describe('each example of', () => {
  for (const { words, load } of commandTree) {
    const name = words.join(' ')
    test(`${name} is a line that its command takes`, async () => {
      const { examples } = await load()
      const lines = examples.flatMap(({ line }) => callsOf(line))
      expect(lines.length).toBeGreaterThanOrEqual(examples.length)
      for (const line of lines) await parse(line)
    })
  }
})

test('a line with an option that is not there, or an argument too many, is none', async () => {
  await expect(parse(['send', '--too', '@bob', 'hi'])).rejects.toThrow('unknown option')
  await expect(parse(['topic', 'list', 'changes'])).rejects.toThrow('too many arguments')
  await expect(parse(['sned'])).rejects.toThrow('no command')
})

async function parse(words: readonly string[]): Promise<void> {
  const resolution = resolveCommand(words)
  if (resolution.kind !== 'command') throw new Error(`no command: ${words.join(' ')}`)
  const { entry, rest } = resolution
  buildParser(entry.words, await entry.load(), terminal).parse(rest, { from: 'user' })
}

/** The words of each call of ours in a line of shell. */
function callsOf(line: string): readonly (readonly string[])[] {
  return wordsOf(line).flatMap((command) => {
    const at = command.lastIndexOf('claudemesh')
    return at === -1 ? [] : [command.slice(at + 1)]
  })
}

/** Splits a line where a shell does: commands at operators and redirections, words at spaces, quotes kept together. */
function wordsOf(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]]
  for (const [token, double, single] of line.matchAll(/"([^"]*)"|'([^']*)'|&&|[|;()<>]|[^\s"'|;()<>&]+/g)) {
    const quoted = double ?? single
    if (quoted !== undefined) commands.at(-1)?.push(quoted)
    if (quoted?.includes('$(')) commands.push(...wordsOf(quoted).map((each) => [...each]), [])
    else if (quoted === undefined && /^(&&|[|;()<>])$/.test(token)) commands.push([])
    else if (quoted === undefined) commands.at(-1)?.push(token.replace(/^\$$/, ''))
  }
  return commands.filter((words) => words.length > 0)
}
