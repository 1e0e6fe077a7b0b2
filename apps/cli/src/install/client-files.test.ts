/** What install writes into files that belong to somebody else: ours is in them, theirs stays as it was. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { applyChanges } from './apply.ts'
import { type AgentClient, changesFor, type InstallScope } from './client-files.ts'

const entry = { command: '/usr/bin/node', args: ['/opt/claudemesh.js', 'mcp'], env: { CLAUDEMESH_HOME: '/srv/mesh' } }

function place() {
  const home = scratchDirectory()
  const project = join(home, 'project')
  mkdirSync(project)
  return {
    claude: join(home, '.claude'),
    claudeConfig: join(home, '.claude.json'),
    codex: join(home, '.codex'),
    project,
  }
}

type Folders = ReturnType<typeof place>

function change(folders: Folders, client: AgentClient, given: typeof entry | null, scope: InstallScope = 'user') {
  const changes = changesFor({ client, scope, folders, entry: given })
  applyChanges(changes)
  return changes.map(({ path }) => path)
}

describe('Claude Code', () => {
  test('has the server and a skill afterwards, keeps its other settings, and is left alone the second time', () => {
    const folders = place()
    writeFileSync(
      folders.claudeConfig,
      '{\n\t"theme": "dark",\n\t"mcpServers": {\n\t\t"other": {"command": "x"}\n\t}\n}\n',
    )
    const skill = join(folders.claude, 'skills/claudemesh/SKILL.md')
    expect(change(folders, 'claude-code', entry)).toEqual([folders.claudeConfig, skill])
    const text = readFileSync(folders.claudeConfig, 'utf8')
    expect(text).toContain('\n\t"theme": "dark"')
    expect(JSON.parse(text)).toEqual({
      theme: 'dark',
      mcpServers: { other: { command: 'x' }, claudemesh: { type: 'stdio', ...entry } },
    })
    expect(readFileSync(skill, 'utf8')).toMatch(/^---\nname: claudemesh\n/)
    expect(change(folders, 'claude-code', entry)).toEqual([])
    expect(change(folders, 'claude-code', null)).toEqual([folders.claudeConfig, skill])
    expect(JSON.parse(readFileSync(folders.claudeConfig, 'utf8'))).toEqual({
      theme: 'dark',
      mcpServers: { other: { command: 'x' } },
    })
    expect(change(folders, 'claude-code', null)).toEqual([])
  })

  test('a project has files of its own', () => {
    const folders = place()
    expect(change(folders, 'claude-code', entry, 'project')).toEqual([
      join(folders.project, '.mcp.json'),
      join(folders.project, '.claude/skills/claudemesh/SKILL.md'),
    ])
  })

  test.for(['{"mcpServers": []}', '[]', '{', 'null'])('a file with %s is refused and stays', (text) => {
    const folders = place()
    writeFileSync(folders.claudeConfig, text)
    expect(() => change(folders, 'claude-code', entry)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
    expect(readFileSync(folders.claudeConfig, 'utf8')).toBe(text)
  })
})

describe('Codex', () => {
  const theirs = '# my settings\nmodel = "x" # fast\n\n[mcp_servers.other]\ncommand = "y"\n'

  test('has the server as a table of its own; comments and the rest stay as they are written', () => {
    const folders = place()
    const path = join(folders.codex, 'config.toml')
    mkdirSync(folders.codex)
    writeFileSync(path, theirs)
    expect(change(folders, 'codex', entry)).toEqual([path])
    const text = readFileSync(path, 'utf8')
    expect(text.startsWith(theirs)).toBe(true)
    expect(parse(text)).toEqual({
      model: 'x',
      mcp_servers: { other: { command: 'y' }, claudemesh: { ...entry } },
    })
    expect(change(folders, 'codex', entry)).toEqual([])
    change(folders, 'codex', { ...entry, args: ['mcp'], env: {} as typeof entry.env })
    expect(parse(readFileSync(path, 'utf8'))).toMatchObject({ mcp_servers: { claudemesh: { args: ['mcp'], env: {} } } })
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n[last]\na = 1\n`)
    change(folders, 'codex', null)
    expect(readFileSync(path, 'utf8')).toBe(`${theirs}\n[last]\na = 1\n`)
  })

  test('a server in another form than a table of its own is refused, and so is what is no TOML', () => {
    for (const text of ['mcp_servers = { claudemesh = { command = "z" } }\n', 'a = \n']) {
      const folders = place()
      const path = join(folders.codex, 'config.toml')
      mkdirSync(folders.codex)
      writeFileSync(path, text)
      expect(() => change(folders, 'codex', entry)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
      expect(readFileSync(path, 'utf8')).toBe(text)
    }
  })
})
