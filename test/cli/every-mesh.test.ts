/** One home with several meshes, whose daemons are started, looked at and stopped by one command. */
import { rmSync, writeFileSync } from 'node:fs'
import { daemonPaths, homePaths } from '@claudemesh/protocol'
import { afterAll, expect, test } from 'vitest'
import { CommandLine, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)

interface All {
  readonly daemons: readonly { readonly mesh: string; readonly pid: number | null; readonly outcome?: string }[]
}

afterAll(() => {
  for (const { pid } of (JSON.parse(line.run(['daemon', 'status', '--all', '--json']).stdout) as All).daemons) {
    killIfThere(pid)
  }
})

test('every daemon of a home is started, shown and stopped, and the failure of one keeps none of the others', () => {
  const broker = ['--broker', 'ws://127.0.0.1:9']
  expect(line.problem(['daemon', 'start', '--all'])).toMatchObject({ code: 'mesh_not_configured' })
  line.json(['init', ...broker])
  for (const slug of ['blue', 'team']) line.json(['mesh', 'create', slug, ...broker])
  const started = line.json<All>(['daemon', 'start', '--all'])
  expect(started.daemons.map(({ mesh, outcome }) => [mesh, outcome])).toEqual([
    ['blue', 'started'],
    ['home', 'started'],
    ['team', 'started'],
  ])
  expect(new Set(started.daemons.map(({ pid }) => pid)).size).toBe(3)
  expect(line.run(['daemon', 'start', '--all']).stdout).toMatch(
    /^blue: was already running \(pid \d+\)\nhome: .*\nteam: /,
  )

  line.json(['daemon', 'stop', '--mesh', 'home'])
  rmSync(daemonPaths(line.home, 'home').keypair)
  const again = line.run(['daemon', 'start', '--all'])
  expect(again.status).not.toBe(0)
  expect(again.stdout).toMatch(/^blue: was already running .*\nhome: error: .*\n {2}-> .*\nteam: was already running /)

  const shown = line.run(['daemon', 'status', '--all'])
  expect(shown.status).not.toBe(0)
  expect(shown.stdout).toMatch(/^blue: (?:healthy|needs attention), \w+, 0 pending, 0 dead, 0 unread \(pid \d+\)\n/)
  expect(line.run(['daemon', 'stop', '--all']).stdout).toMatch(
    /^blue: has stopped .*\nhome: was not running\nteam: has stopped /,
  )
  expect(line.problem(['daemon', 'stop', '--all', '--mesh', 'team'])).toMatchObject({ exitCode: 64 })
})

interface Setting {
  readonly name: string
  readonly value: unknown
  readonly origin: { readonly source: string; readonly place: string | null }
}

test('a fleet has as many daemons as it may, its budgets are divided, and it is said where a share comes from', async () => {
  const config = homePaths(line.home).config
  const settingOf = (mesh: string, name: string) =>
    line
      .json<{ settings: Setting[] }>(['daemon', 'config', 'show', '--effective', '--mesh', mesh])
      .settings.find((setting) => setting.name === name)
  writeFileSync(
    config,
    '[fleet]\nmax_daemons = 2\ndisk_budget_bytes = 100_000_000\nmemory_budget_bytes = 400_000_000\n',
    {
      mode: 0o600,
    },
  )
  writeFileSync(daemonPaths(line.home, 'team').config, '[disk]\nbudget_bytes = 7_000_000\n', { mode: 0o600 })
  expect(settingOf('blue', 'disk.budget_bytes')).toMatchObject({
    value: 50_000_000,
    origin: { source: 'file', place: `${config}:3: fleet.disk_budget_bytes in 2 shares` },
  })
  expect(settingOf('team', 'disk.budget_bytes')).toMatchObject({ value: 7_000_000 })

  // Of those that want the last place at the same moment one gets it; which one is nobody's business.
  line.json(['mesh', 'create', 'last', '--broker', 'ws://127.0.0.1:9'])
  line.json(['daemon', 'start', '--mesh', 'blue'])
  const both = await Promise.all(
    ['team', 'last'].map(async (mesh) => {
      const ran = await line.runAside(['daemon', 'start', '--mesh', mesh, '--json'])
      return ran.status === 0 ? 'started' : (JSON.parse(ran.stderr) as { code: string }).code
    }),
  )
  expect(both.toSorted()).toEqual(['fleet_full', 'started'])
  expect(line.run(['daemon', 'start', '--mesh', 'blue']).stdout).toContain('already running')

  const shown = line.run(['daemon', 'status', '--all'])
  expect(shown.stdout).toMatch(
    /\nall: 2 of at most 2 run, disk .* of 95.4 MiB, memory of services 381 MiB, in 2 shares\n$/,
  )
  const all = JSON.parse(line.run(['daemon', 'status', '--all', '--json']).stdout) as { fleet: object }
  expect(all.fleet).toMatchObject({ running: 2, shares: 2, max_daemons: 2, memory_budget_bytes: 400_000_000 })
  const { stdout: unit } = line.run(['daemon', 'install-service', '--mesh', 'blue', '--dry-run'])
  if (process.platform === 'linux') expect(unit).toContain('\nMemoryMax=200000000\n')
  line.json(['daemon', 'stop', '--all'])

  writeFileSync(config, '[fleet]\nmemory_budget_bytes = 200_000_000\n', { mode: 0o600 })
  const refused = line.problem(['daemon', 'start', '--mesh', 'blue'])
  expect(refused).toMatchObject({
    code: 'config_invalid',
    detail: expect.stringContaining('in 4 shares is 50000000 bytes'),
  })
})
