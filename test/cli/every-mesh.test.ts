/** One home with several meshes, whose daemons are started, looked at and stopped by one command. */
import { rmSync } from 'node:fs'
import { daemonPaths } from '@claudemesh/protocol'
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
