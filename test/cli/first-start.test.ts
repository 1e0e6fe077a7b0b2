/** What a person sees who follows the first two lines of the README. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { findFreePort } from '../support/mesh.ts'
import { CommandLine, killIfThere } from './command-line.ts'

describe('the first start of a daemon', () => {
  test('returns when the broker that it brings up is there: the status after it is healthy', async () => {
    const alice = new CommandLine()
    onTestFinished(() => {
      const broker = JSON.parse(alice.run(['broker', 'status', '--json']).stdout) as { pid: number | null }
      killIfThere(broker.pid)
    })
    alice.json(['init', '--name', 'alice'])
    alice.startDaemon('home')
    const { status, stdout } = alice.run(['daemon', 'status', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ status: 'ok', conditions: [], link: { connected: true } })
    expect(status).toBe(0)
  })

  test('does not wait for a broker of somebody else, and the status says that it connects', async () => {
    const alice = new CommandLine()
    alice.json(['init', '--name', 'alice', '--broker', `ws://127.0.0.1:${await findFreePort()}`])
    alice.startDaemon('home')
    const { status, stdout } = alice.run(['daemon', 'status'])
    expect(stdout).toMatch(/^healthy\n/)
    expect(stdout).toMatch(/broker +ws:\S*, connecting\n/)
    expect(status).toBe(0)
  })
})
