/** Hooks of one daemon without a broker: when they run at all, their sandboxes, and what docs/hooks.md shows. */
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Health, OutboxDetail } from '@claudemesh/protocol'
import type { HookList, HookTestAnswer, HookView } from '@claudemesh/protocol/hooks'
import { describe, expect, test } from 'vitest'
import { readHooksFile } from '../../apps/daemon/src/hooks/hooks-file.ts'
import { blocksOf } from '../docs/blocks.ts'
import { type DaemonTestOptions, type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome, type TestHome } from '../support/home.ts'
import { writeHook, writeHooksFile } from '../support/hook-scripts.ts'
import { readText } from '../tidy/sources.ts'

interface HookedHome {
  readonly host: TestHome
  readonly hooks: string
  start(options?: DaemonTestOptions): Promise<RunningDaemon>
}

/** A home with hooks; its daemon is not started yet. */
function homeWith(files: Readonly<Record<string, string>>): HookedHome {
  const host = foundHome()
  const { hooks } = host.paths
  for (const [name, text] of Object.entries(files)) {
    if (name === 'hooks.toml') writeHooksFile(hooks, text)
    else writeHook(hooks, name, text)
  }
  return { host, hooks, start: (options) => startDaemon(host, options) }
}

const list = async (daemon: RunningDaemon) => (await daemon.get('/v1/hooks')).json as HookList
const health = async (daemon: RunningDaemon) => (await daemon.get('/v1/health')).json as Health

async function hookOf(daemon: RunningDaemon, name: string): Promise<HookView> {
  const found = (await list(daemon)).hooks.find((hook) => hook.name === name)
  if (found === undefined) throw new Error(`${name} is not configured`)
  return found
}

const firstRun = (daemon: RunningDaemon, name: string) =>
  eventually(`${name} has run`, async () => (await hookOf(daemon, name)).last_run)

describe('hooks', () => {
  test('run at the start of the daemon, each start once', async () => {
    const { hooks, start } = homeWith({ 'on-startup': 'cat >> starts; echo >> starts', 'hooks.toml': '[on-startup]' })
    for (let starts = 1; starts <= 2; starts += 1) {
      const daemon = await start()
      expect(await firstRun(daemon, 'on-startup')).toMatchObject({ result: 'ok', event: 'daemon_start' })
      await daemon.close()
      expect(readFileSync(join(hooks, 'starts'), 'utf8').trim().split('\n')).toHaveLength(starts)
    }
  })

  test('are off in CI: nothing is read, made or run, and what happens is not kept for them', async () => {
    const { host, hooks, start } = homeWith({ 'on-startup': 'echo >> starts', 'hooks.toml': 'no toml' })
    const daemon = await start({ env: { CI: 'true' } })
    expect(await list(daemon)).toMatchObject({ enabled: false, hooks: [] })
    expect((await daemon.post('/v1/hooks/on-startup/test')).json).toMatchObject({
      ...{ code: 'hook_unknown', detail: 'hooks are off: [hooks] enabled' },
    })
    await daemon.close()
    expect(existsSync(join(hooks, 'starts'))).toBe(false)
    expect(existsSync(join(host.paths.directory, 'hook'))).toBe(false)
  })

  test('that somebody lets run in CI are a setting that is less safe', async () => {
    const { start } = homeWith({ 'on-startup': 'exit 0', 'hooks.toml': '[on-startup]' })
    const daemon = await start({ env: { CI: 'true', CLAUDEMESH_HOOKS_ENABLED: 'on' } })
    expect(await firstRun(daemon, 'on-startup')).toMatchObject({ result: 'ok' })
    const { conditions } = await health(daemon)
    expect(conditions.find(({ code }) => code === 'less_safe_setting')?.text).toContain('hooks run in a CI job')
  })

  test('that are not configured cost nothing: a private directory, and no socket', async () => {
    const { host, start } = homeWith({})
    const daemon = await start()
    expect(await list(daemon)).toEqual({ enabled: true, directory: host.paths.hooks, hooks: [] })
    expect(statSync(host.paths.hooks).mode & 0o777).toBe(0o700)
    expect(existsSync(join(host.paths.directory, 'hook'))).toBe(false)
  })

  test('whose hooks.toml cannot be used keep the daemon from starting, with the place', async () => {
    const { hooks, start } = homeWith({ 'hooks.toml': '[on-dm]\nallow_repy = true\n' })
    await expect(start()).rejects.toMatchObject({
      code: 'config_invalid',
      message: `${hooks}/hooks.toml:2: a hook has no allow_repy; did you mean allow_reply?`,
    })
  })

  test('are not run from a directory that is open to others', async () => {
    const { hooks, start } = homeWith({})
    mkdirSync(hooks, { mode: 0o755 })
    await expect(start()).rejects.toMatchObject({ code: 'unsafe_permissions' })
  })
})

describe('a sandbox', () => {
  const looking = `
    wc -l < /proc/net/dev
    ls -A "$CLAUDEMESH_DAEMON" | tr '\\n' ' '; echo
    ls /proc | grep -c '^[0-9]'
    [ -z "$CLAUDEMESH_TOKEN" ] || curl -s --unix-socket "$CLAUDEMESH_SOCKET" http://localhost/v1/send \\
      -H "authorization: Bearer $CLAUDEMESH_TOKEN" -H 'content-type: application/json' \\
      -d '{"to":"#a","message":"m","client_message_id":"sandboxed"}'`

  test.each(['unshare', 'bwrap'] as const)('%s holds what it says, or it is said that it does not', async (sandbox) => {
    const toml = `
      [on-startup]
      sandbox = "${sandbox}"
      capabilities = ["topic:a:post"]
      [on-dm]
      sandbox = "${sandbox}"
      sandbox_required = true`
    const { start } = homeWith({ 'on-startup': looking, 'on-dm': looking, 'hooks.toml': toml })
    const daemon = await start()
    const run = await firstRun(daemon, 'on-startup')
    const hook = await hookOf(daemon, 'on-startup')
    const key = encodeURIComponent(`hook:on-startup:${run.event_id}:sandboxed`)
    expect((await daemon.get(`/v1/outbox/${key}`)).status).toBe(200)
    const tried = await daemon.post('/v1/hooks/on-dm/test')
    if (hook.sandbox.fault === null) {
      console.log(`${sandbox} works here`)
      expect(run).toMatchObject({ result: 'ok', unconfined: false, enforced: hook.sandbox.enforced })
      const [interfaces, files = '', processes] = (tried.json as HookTestAnswer).stdout.split('\n')
      // Two lines of titles, and the loopback.
      expect(Number(interfaces)).toBe(3)
      if (sandbox === 'bwrap') {
        expect(files.trim()).toBe('hook hooks')
        expect(Number(processes)).toBeLessThan(8)
      }
      return
    }
    console.log(`${sandbox} does not work here: ${hook.sandbox.fault}`)
    expect(run).toMatchObject({ result: 'ok', unconfined: true, enforced: [], sandbox })
    expect(hook).toMatchObject({ unconfined: 1, sandbox: { not_enforced: ['network', 'files', 'processes'] } })
    expect(tried.json).toMatchObject({ code: 'hook_not_runnable', detail: hook.sandbox.fault })
    const { conditions } = await health(daemon)
    expect(conditions.map(({ code }) => code)).toEqual(expect.arrayContaining(['hook_unconfined', 'hook_waiting']))
    expect((await daemon.get('/v1/metrics')).text).toContain(
      'cm_daemon_hook_unconfined_runs_total{hook="on-startup"} 1',
    )
  })
})

describe('docs/hooks.md', () => {
  const blocks = blocksOf(readText('docs/hooks.md'))

  test('shows configurations that can be used', async () => {
    const tomls = blocks.filter(({ language }) => language === 'toml')
    expect(tomls.length).toBeGreaterThanOrEqual(3)
    for (const { text } of tomls) {
      const { hooks } = homeWith({ 'hooks.toml': text })
      expect(await readHooksFile(join(hooks, 'hooks.toml'))).toHaveLength(1)
    }
  })

  test('shows how a hook sends, once however often it runs', async () => {
    const send = blocks.find(({ text }) => text.includes('--unix-socket "$CLAUDEMESH_SOCKET"'))?.text ?? ''
    const toml = '[on-startup]\ncapabilities = ["topic:alerts:post"]'
    const { start } = homeWith({ 'on-startup': `${send}\n${send}`, 'hooks.toml': toml })
    const daemon = await start()
    const { event_id: id, result } = await firstRun(daemon, 'on-startup')
    expect(result).toBe('ok')
    const sent = (await daemon.get(`/v1/outbox/${encodeURIComponent(`hook:on-startup:${id}:alert`)}`))
      .json as OutboxDetail
    expect(sent.row).toMatchObject({ destination_kind: 'topic', destination_ref: 'alerts', status: 'pending' })
  })
})
