/** Taking the product off a host: what is shown, what goes, and what has to be said for more. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine, killIfThere } from './command-line.ts'

interface Uninstalled {
  readonly done: boolean
  readonly daemons: readonly string[]
  readonly broker: boolean
  readonly agents: readonly string[]
  readonly purged: readonly string[]
  readonly left: readonly string[]
}

const line = new CommandLine(afterAll)
const folder = scratchDirectory(afterAll)
const env = { CLAUDE_CONFIG_DIR: join(folder, 'claude'), CODEX_HOME: join(folder, 'codex'), XDG_CONFIG_HOME: folder }
const pids: number[] = []
afterAll(() => pids.forEach(killIfThere))

const statusOf = (mesh: string) => line.run(['daemon', 'status', '--mesh', mesh]).status

test('daemons, their broker and what agents were told go; the home stays, and a plan changes nothing', () => {
  line.json(['init', '--name', 'alice'])
  line.json(['mesh', 'create', 'team', '--broker', 'ws://127.0.0.1:9'])
  for (const mesh of ['home', 'team']) pids.push(line.json<{ pid: number }>(['daemon', 'start', '--mesh', mesh]).pid)
  mkdirSync(env.CODEX_HOME)
  writeFileSync(join(env.CODEX_HOME, 'config.toml'), 'model = "mine"\n')
  for (const client of ['claude-code', 'codex']) line.json(['install', '--for', client], { env })

  const found = { daemons: ['home', 'team'], broker: true, purged: [], agents: expect.arrayContaining([]) }
  const planned = line.json<Uninstalled>(['uninstall', '--dry-run'], { env })
  expect(planned).toMatchObject({ ...found, done: false })
  expect(planned.agents).toHaveLength(3)
  expect(statusOf('home')).toBe(0)
  expect(readFileSync(join(env.CODEX_HOME, 'config.toml'), 'utf8')).toContain('claudemesh')

  expect(line.json(['uninstall'], { env })).toMatchObject({ ...found, done: true })
  for (const mesh of ['home', 'team']) expect(statusOf(mesh)).toBe(69)
  expect(line.run(['broker', 'status']).status).toBe(69)
  expect(readFileSync(join(env.CODEX_HOME, 'config.toml'), 'utf8')).toBe('model = "mine"\n')
  expect(line.json(['uninstall'], { env })).toMatchObject({ daemons: [], broker: false, agents: [] })
  expect(line.json(['daemon', 'start', '--mesh', 'team'])).toMatchObject({ outcome: 'started' })
})

test('the home goes only when it is said twice, and takes nothing with it that is not ours', () => {
  writeFileSync(join(line.home, 'notes.txt'), 'mine')
  line.json(['send', '--mesh', 'team', '--to', 'queue:jobs', '--wait', 'queued', 'never sent'])
  const plan = line.run(['uninstall', '--purge'], { env })
  expect([plan.status, statusOf('team') === 69]).toEqual([1, false])
  expect(plan.stdout).toContain('  -> claudemesh uninstall --purge --confirm\n')
  const purge = ['uninstall', '--purge', '--confirm']
  expect(line.problem(purge, { env })).toMatchObject({ code: 'root_key_at_stake' })
  expect(line.problem([...purge, '--discard-root-key'], { env })).toMatchObject({ code: 'outbox_not_empty' })
  expect(statusOf('team'), 'what is refused stops nothing').not.toBe(69)
  const all = [...purge, '--discard-root-key', '--discard-outbox']
  const purged = line.json<Uninstalled>(all, { env })
  expect(purged).toMatchObject({ done: true, daemons: ['team'], left: ['notes.txt'] })
  expect(purged.purged.filter(existsSync)).toEqual([])
  expect(readFileSync(join(line.home, 'notes.txt'), 'utf8')).toBe('mine')
})

test('what is for an agent alone and what is for the product do not mix', () => {
  for (const args of [
    ['--for', 'codex', '--purge'],
    ['--scope', 'user'],
    ['--mesh', 'home'],
  ]) {
    expect(line.problem(['uninstall', ...args], { env })).toMatchObject({ code: 'invalid_usage', exitCode: 64 })
  }
})
