/** What `claudemesh install` writes for an agent, used as the agent would. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { resolveCommand } from '../../apps/cli/src/command-tree.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { readText } from '../tidy/sources.ts'
import { CommandLine } from './command-line.ts'

const line = new CommandLine(afterAll)

beforeAll(() => void line.json(['init', '--broker', 'ws://127.0.0.1:9']))

interface Server {
  readonly command: string
  readonly args: string[]
  readonly env: Record<string, string>
}

test('the agent finds a server that it can start, and nothing of it is left after uninstall', async () => {
  const home = scratchDirectory()
  const env = { HOME: home, CLAUDE_CONFIG_DIR: '', CODEX_HOME: '' }
  const path = join(home, '.claude.json')
  const dry = line.json<{ changed: { path: string }[] }>(['install', '--for', 'claude-code', '--dry-run'], { env })
  expect(dry.changed.map((change) => change.path)).toEqual([path, join(home, '.claude/skills/claudemesh/SKILL.md')])
  expect(existsSync(path), 'a dry run changes nothing').toBe(false)

  line.json(['install', '--for', 'claude-code'], { env })
  const config = JSON.parse(readFileSync(path, 'utf8')) as { mcpServers: { claudemesh: Server } }
  const { command, args, env: serverEnv } = config.mcpServers.claudemesh
  const client = new Client({ name: 'test', version: '1' })
  // As an agent starts it: somewhere, with an environment that knows nothing.
  await client.connect(new StdioClientTransport({ command, args, env: serverEnv, cwd: home, stderr: 'inherit' }))
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain('send_message')
  await client.close()

  expect(line.run(['install', '--for', 'claude-code'], { env }).stdout).toBe('nothing to change\n')
  line.json(['install', '--for', 'codex'], { env })
  expect(readFileSync(join(home, '.codex/config.toml'), 'utf8')).toContain('[mcp_servers.claudemesh]')
  for (const agent of ['claude-code', 'codex']) line.json(['uninstall', '--for', agent], { env })
  expect(readFileSync(path, 'utf8')).not.toContain('"claudemesh"')
  expect(existsSync(join(home, '.claude/skills/claudemesh/SKILL.md'))).toBe(false)
  expect(line.problem(['install', '--for', 'emacs'], { env })).toMatchObject({ exitCode: 64 })
})

test('every command that the skill teaches is there, with the options that it names', async () => {
  const skill = readText('apps/cli/skill/SKILL.md')
  const lines = [...skill.matchAll(/^ {4}(?:.*\| )?claudemesh ([^#\n]+?)(?: {2,}#.*)?$/gm)].map(
    ([, words = '']) => words,
  )
  expect(lines.length).toBeGreaterThan(15)
  for (const text of lines) {
    const found = resolveCommand(text.split(' '))
    if (found.kind !== 'command') throw new Error(`there is no command ${text}`)
    const known = (await found.entry.load()).options?.map(({ syntax }) => syntax) ?? []
    const own = text.split(' -- ')[0] ?? ''
    for (const [, option = ''] of own.matchAll(/ (--?[a-z][a-z-]*)/g)) {
      expect(
        known.some((syntax) => syntax.split(/[ ,]+/).includes(option)),
        `${text}: ${option}`,
      ).toBe(true)
    }
  }
})
