/** Hooks of a daemon that gets real messages: what fires them, what they see, what they answer, and what they may do. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import type { Health } from '@claudemesh/protocol'
import type { HookList, HookRunView, HookTestAnswer, HookView } from '@claudemesh/protocol/hooks'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type OpenApiDocument, routesOf } from '../support/described-routes.ts'
import { eventually } from '../support/eventually.ts'
import { hookProcesses, nodeScript, writeHook, writeHooksFile } from '../support/hook-scripts.ts'
import { requestOverSocket } from '../support/http-over-socket.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { fitting } from '../support/schema-faults.ts'

let mesh: TestMesh
let alice: TestMember
let bob: TestMember
let hooks: string
let seen: string

beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'])
  alice = mesh.member('alice')
  bob = mesh.member('bob')
  hooks = bob.paths.hooks
  seen = join(mesh.directory, 'seen')
  return () => mesh.end()
}, 60_000)
afterAll(() => {
  expect(hookProcesses(bob.paths.directory)).toEqual([])
})
beforeEach(() => {
  rmSync(hooks, { recursive: true, force: true })
  rmSync(seen, { recursive: true, force: true })
  mkdirSync(seen)
})

const listHooks = async () => (await bob.request({ method: 'GET', path: '/v1/hooks' })).json as HookList

/** Takes a configuration over, and returns when it is in force. */
async function configure(toml: string, member = bob): Promise<void> {
  writeHooksFile(member.paths.hooks, toml)
  const before = reloads(member)
  member.running.signal('SIGHUP')
  await eventually('the configuration is in force', () => reloads(member) > before)
  const names = [...toml.matchAll(/^\[(.+)\]$/gm)].map(([, name]) => name)
  await eventually('the hooks are those that are configured', async () => {
    const { json } = await member.request({ method: 'GET', path: '/v1/hooks' })
    return (json as HookList).hooks.map(({ name }) => name).join() === names.join()
  })
}

const reloads = (member: TestMember) => member.running.output.split('config_reloaded').length

/** A script that keeps what it reads, one file per event, and then goes on. */
const keeping = (script = '') => `cat > "${seen}/$CLAUDEMESH_HOOK.$CLAUDEMESH_EVENT_ID"\n${script}`

interface Seen {
  readonly hook: string
  readonly event: string
  readonly event_id: string
  readonly data: Readonly<Record<string, unknown>>
  readonly _truncated: boolean
}

/** What hooks have read, in the order of events. */
async function seenBy(hook: string, count: number): Promise<readonly Seen[]> {
  const files = () => readdirSync(seen).filter((name) => name.startsWith(`${hook}.`))
  await eventually(`${hook} has seen ${count} events`, async () => {
    const { hooks: listed } = await listHooks()
    return files().length >= count && listed.every(({ running }) => running === 0)
  })
  const read = files().map((name) => JSON.parse(readFileSync(join(seen, name), 'utf8')) as Seen)
  return read.sort((a, b) => Number(a.event_id) - Number(b.event_id))
}

/** The first run of a hook after something was done. */
async function runAfter(hook: string, act: () => Promise<unknown>): Promise<NonNullable<HookView['last_run']>> {
  const last = async () => (await listHooks()).hooks.find(({ name }) => name === hook)?.last_run ?? null
  const before = (await last())?.run
  await act()
  return eventually(`${hook} has run`, async () => {
    const run = await last()
    return run !== null && run.run !== before && run
  })
}

describe('a hook', () => {
  test('runs for what its name says and for nothing else', async () => {
    const names = ['on-message', 'on-dm', 'on-mention', 'on-topic-builds', 'on-topic-other', 'on-startup']
    for (const name of names) writeHook(hooks, name, keeping())
    writeHook(hooks, 'not-configured', keeping())
    await bob.request({ method: 'POST', path: '/v1/topic/subscribe', body: { topic: 'builds' } })
    await configure(names.map((name) => `[${name}]`).join('\n'))
    await alice.send({ to: '@bob', message: 'direct' })
    await alice.send({ to: '#builds', message: 'to all' })
    await alice.send({ to: '#builds', message: 'to you', mentions: ['@bob'] })
    const texts = async (hook: string, count: number) => (await seenBy(hook, count)).map(({ data }) => data['message'])
    expect((await texts('on-message', 3)).sort()).toEqual(['direct', 'to all', 'to you'])
    expect(await texts('on-dm', 1)).toEqual(['direct'])
    expect(await texts('on-topic-builds', 2)).toEqual(['to all', 'to you'])
    expect(await texts('on-mention', 1)).toEqual(['to you'])
    expect(await texts('on-topic-other', 0)).toEqual([])
    expect(await texts('on-startup', 0)).toEqual([])
    expect(readdirSync(seen).filter((name) => name.startsWith('not-configured'))).toEqual([])
  })

  test('sees the whole of a message and its sender, and not what is redacted', async () => {
    writeHook(hooks, 'on-dm', keeping())
    await configure('[on-dm]\nredact = ["$.data.meta.password", "$..secret"]')
    const message = 'x'.repeat(60_000)
    await alice.send({ to: '@bob', message, meta: { password: 'p', list: [{ secret: 's', open: 'o' }] } })
    const [read] = await seenBy('on-dm', 1)
    expect(read).toMatchObject({ hook: 'on-dm', event: 'message', _truncated: false })
    expect(read?.data).toMatchObject({ message, sender_name: 'alice', destination_kind: 'dm' })
    expect(read?.data['meta']).toEqual({ password: '[redacted]', list: [{ secret: '[redacted]', open: 'o' }] })
  })

  test('is told of a file that was shared with it, once it is here', async () => {
    writeHook(hooks, 'on-file-share', keeping(`echo '{"reply":"thank you"}'`))
    await configure('[on-file-share]\nallow_reply = true')
    writeFileSync(join(mesh.directory, 'notes.txt'), 'for bob')
    const before = (await alice.inbox()).length
    alice.cli(['artifact', 'share', join(mesh.directory, 'notes.txt'), '--to', '@bob'])
    expect((await seenBy('on-file-share', 1))[0]).toMatchObject({
      event: 'file_shared',
      data: { name: 'notes.txt', peer_name: 'alice' },
    })
    expect((await alice.inboxOf(before + 1)).slice(before)).toMatchObject([{ message: 'thank you' }])
  })

  test('is told of a lost link and of its return', async () => {
    for (const name of ['on-disconnect', 'on-reconnect']) writeHook(hooks, name, keeping())
    await configure('[on-disconnect]\n[on-reconnect]')
    await mesh.broker.kill()
    await seenBy('on-disconnect', 1)
    await mesh.broker.start()
    expect((await seenBy('on-reconnect', 1))[0]).toMatchObject({ event: 'daemon_reconnect' })
  }, 30_000)

  test('is recorded as an event, and in the audit of the log', async () => {
    writeHook(hooks, 'on-dm', 'echo hint >&2; exit 7')
    await configure('[on-dm]')
    const run = await runAfter('on-dm', () => alice.send({ to: '@bob', message: 'to be recorded' }))
    expect(run).toMatchObject({ result: 'failed', exit_code: 7, stderr: 'hint\n', reply: 'none', event: 'message' })
    const line = (await eventually('the line is written', () => logLine(run))) as Record<string, unknown>
    expect(line).toMatchObject({ subsystem: 'hooks', hook: 'on-dm', exit_code: 7 })
    expect(JSON.stringify(line)).not.toMatch(/hint|to be recorded/)
    expect(await recordedRun(run.run)).toMatchObject({ event_id: run.event_id, result: 'failed' })
  })

  test('that waits for its file to be runnable is told of, and gets what waited', async () => {
    const path = writeHook(hooks, 'on-dm', keeping())
    await configure('[on-dm]')
    rmSync(path)
    await alice.send({ to: '@bob', message: 'waits' })
    await eventually(
      'it waits',
      async () => (await listHooks()).hooks[0]?.waits_for?.includes('there is no file') === true,
    )
    const { conditions } = (await bob.health()) as Health
    expect(conditions.find(({ code }) => code === 'hook_waiting')?.text).toContain('on-dm')
    expect(bob.running.output).toContain('hook_waits')
    writeHook(hooks, 'on-dm', keeping())
    await configure('[on-dm]')
    expect((await seenBy('on-dm', 1))[0]?.data).toMatchObject({ message: 'waits' })
  })

  test('that is no longer named ends, and begins anew with what happens once it is named again', async () => {
    writeHook(hooks, 'on-dm', keeping('sleep 60'))
    await configure('[on-dm]')
    await alice.send({ to: '@bob', message: 'ended' })
    await eventually('it runs', async () => (await listHooks()).hooks[0]?.running === 1)
    writeHook(hooks, 'on-message', keeping())
    await configure('[on-message]')
    expect(hookProcesses(bob.paths.directory)).toEqual([])
    await alice.send({ to: '@bob', message: 'not for it' })
    await seenBy('on-message', 1)
    rmSync(seen, { recursive: true })
    mkdirSync(seen)
    writeHook(hooks, 'on-dm', keeping())
    await configure('[on-dm]')
    await alice.send({ to: '@bob', message: 'for it' })
    expect((await seenBy('on-dm', 1)).map(({ data }) => data['message'])).toEqual(['for it'])
  })

  test('that takes several at once takes several at once', async () => {
    writeHook(hooks, 'on-dm', keeping(`while [ "$(ls "${seen}" | wc -l)" -lt 3 ]; do sleep 0.02; done`))
    await configure('[on-dm]\nparallel = 3')
    for (let n = 0; n < 3; n += 1) await alice.send({ to: '@bob', message: `${n}` })
    expect(await seenBy('on-dm', 3)).toHaveLength(3)
  })
})

function logLine({ run }: HookRunView): object | false {
  const lines = bob.running.output.split('\n').filter((line) => line.includes(run))
  return lines[0] !== undefined && (JSON.parse(lines[0]) as object)
}

/** The event of a run, from the stream. */
function recordedRun(run: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const path = '/v1/events?since=0&types=hook_executed'
    const request = http.get({ socketPath: bob.socket, path, agent: false }, (answer) => {
      let text = ''
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8')
        const line = text
          .split('\n')
          .find((each) => each.startsWith('data: ') && each.includes(run) && each.endsWith('}'))
        if (line === undefined) return
        request.destroy()
        resolve(JSON.parse(line.slice('data: '.length)) as Record<string, unknown>)
      })
    })
    request.on('error', reject)
  })
}

describe('a reply', () => {
  const replying = (text: string) => `${keeping()}\necho '{"reply":"${text}"}'`

  test('goes back to who wrote, as an answer to the message', async () => {
    writeHook(hooks, 'on-dm', replying('got it'))
    await configure('[on-dm]\nallow_reply = true')
    const before = (await alice.inbox()).length
    const run = await runAfter('on-dm', () => alice.send({ to: '@bob', message: 'question' }))
    const [answer] = (await alice.inboxOf(before + 1)).slice(before)
    const [read] = await seenBy('on-dm', 1)
    expect(answer).toMatchObject({
      message: 'got it',
      sender_name: 'bob',
      reply_to_id: read?.data['id'],
      meta: { auto_reply: true },
    })
    expect(run).toMatchObject({ result: 'ok', reply: 'sent' })
  })

  test('is not sent where it is not allowed, where the hook fails or is late, or to an answer of a hook', async () => {
    const before = (await alice.inbox()).length
    writeHook(hooks, 'on-dm', replying('unasked'))
    await configure('[on-dm]')
    const send = (message: string, meta = {}) => alice.send({ to: '@bob', message, meta })
    expect(await runAfter('on-dm', () => send('one'))).toMatchObject({ reply: 'none' })
    writeHook(hooks, 'on-message', `${replying('failed')}; exit 1`)
    await configure('[on-message]\nallow_reply = true')
    expect(await runAfter('on-message', () => send('two'))).toMatchObject({ result: 'failed', reply: 'none' })
    writeHook(hooks, 'on-mention', `trap 'echo "{\\"reply\\":\\"late\\"}"; exit 0' TERM; sleep 60 & wait`)
    await configure('[on-mention]\nallow_reply = true\ntimeout_seconds = 1')
    const mention = () => alice.send({ to: '@bob', message: 'late', mentions: ['@bob'] })
    expect(await runAfter('on-mention', mention)).toMatchObject({ result: 'timeout', exit_code: 0, reply: 'none' })
    await configure('[on-dm]\nallow_reply = true')
    const run = await runAfter('on-dm', () => send('three', { auto_reply: true }))
    expect(run).toMatchObject({ result: 'ok', reply: 'suppressed' })
    await bob.drained()
    expect(await alice.inbox()).toHaveLength(before)
  })
})

describe('a capability token', () => {
  /** Sends what the test says over the socket of hooks, and keeps what it is answered. */
  const asking = (requests: readonly object[]) =>
    nodeScript(`
      const http = require('node:http'), fs = require('node:fs')
      const { CLAUDEMESH_SOCKET: socketPath, CLAUDEMESH_TOKEN: token } = process.env
      const ask = ({ method, path, body }) => new Promise((resolve, reject) => {
        const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' }
        const request = http.request({ socketPath, method, path, headers }, (answer) => {
          let text = ''
          answer.on('data', (chunk) => { text += chunk }).on('end', () => resolve({ status: answer.statusCode, body: JSON.parse(text || 'null') }))
        })
        request.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
      })
      const main = async () => {
        const { data } = JSON.parse(fs.readFileSync(0, 'utf8'))
        const answers = []
        for (const each of ${JSON.stringify(requests)}) answers.push(await ask(JSON.parse(JSON.stringify(each).replaceAll('{id}', data.id).replaceAll('{sender}', data.sender))))
        fs.writeFileSync('${seen}/answers', JSON.stringify({ token, socketPath, answers }))
      }
      main()`)

  interface Asked {
    readonly token: string
    readonly socketPath: string
    readonly answers: readonly { readonly status: number; readonly body: { readonly code?: string } }[]
  }

  async function asked(capabilities: string, requests: readonly object[], to = '@bob'): Promise<Asked> {
    writeHook(hooks, 'on-message', asking(requests))
    await configure(`[on-message]\ncapabilities = ${capabilities}`)
    const run = await runAfter('on-message', () => alice.send({ to, message: 'may I?' }))
    expect(run).toMatchObject({ result: 'ok', stderr: '' })
    return JSON.parse(readFileSync(join(seen, 'answers'), 'utf8')) as Asked
  }

  const send = (body: object) => ({ method: 'POST', path: '/v1/send', body })
  const replies = { to: '{sender}', message: 'a reply', replyToId: '{id}' }
  const direct = { to: '@alice', message: 'direct' }
  const toBuilds = { to: '#builds', message: 'to builds' }
  const toQueue = { to: 'queue:jobs', message: 'work' }
  const toSelf = { to: '@bob', message: 'to somebody else' }
  const outcome = ({ answers }: Asked) => answers.map(({ status, body }) => body.code ?? status)

  test('is for exactly what is named', async () => {
    const all = [replies, direct, toBuilds, toQueue, toSelf, { to: '#other', message: 'x' }].map(send)
    const no = 'capability_missing'
    expect(outcome(await asked('["reply:event"]', all))).toEqual([202, no, no, no, no, no])
    expect(outcome(await asked('["dm:send:<sender>"]', all))).toEqual([202, 202, no, no, no, no])
    expect(outcome(await asked('["topic:builds:post"]', all))).toEqual([no, no, 202, no, no, no])
  })

  test('posts to its topic by the route of topics too, and answers over the topic that the message came by', async () => {
    const post = (topic: string) => ({ method: 'POST', path: '/v1/topic/post', body: { topic, message: 'posted' } })
    expect(outcome(await asked('["topic:builds:post"]', [post('builds'), post('#builds'), post('other')]))).toEqual([
      ...[202, 202, 'capability_missing'],
    ])
    const inTopic = [{ ...replies, to: '#builds' }, replies, { ...replies, replyToId: undefined }].map(send)
    const no = 'capability_missing'
    expect(outcome(await asked('["reply:event"]', inTopic, '#builds'))).toEqual([202, no, no])
  })

  test('opens no other route that the daemon has, by any method', async () => {
    const document = (await bob.request({ method: 'GET', path: '/v1/openapi.json' })).json as OpenApiDocument
    const routes = routesOf(document).filter(({ template }) => !['/v1/send', '/v1/topic/post'].includes(template))
    const requests = routes.map(({ method, path, bodies }) => {
      const schema = bodies.get('application/json')
      return { method, path, ...(schema === undefined ? {} : { body: fitting(schema) }) }
    })
    const others = ['GET', 'PUT', 'DELETE', 'PATCH'].map((method) => ({ method, path: '/v1/send' }))
    const unknown = [
      { method: 'GET', path: '/' },
      { method: 'GET', path: '/v1/openapi.json' },
    ]
    const all = [...requests, ...others, ...unknown]
    const { answers } = await asked('["reply:event", "dm:send:<sender>", "topic:builds:post"]', all)
    expect(routes.length).toBeGreaterThan(80)
    expect(answers.map(({ status, body }) => `${status} ${body?.code}`)).toEqual(
      all.map(() => '403 capability_missing'),
    )
    console.log(`a capability token at ${routes.length} routes: refused by all`)
  })

  test('dies with its hook, and there is no way in without one', async () => {
    const { token, socketPath } = await asked('["dm:send:<sender>"]', [send(direct)])
    const ask = (headers: Record<string, string>) =>
      requestOverSocket(socketPath, { method: 'POST', path: '/v1/send', body: direct, headers })
    for (const authorization of [`Bearer ${token}`, 'Bearer x', `Bearer ${'A'.repeat(43)}`, '']) {
      expect((await ask({ authorization })).json).toMatchObject({ status: 401, code: 'unauthorized' })
    }
  })

  test('is not given to a hook that may do nothing', async () => {
    writeHook(hooks, 'on-dm', `env > "${seen}/env"`)
    await configure('[on-dm]')
    await runAfter('on-dm', () => alice.send({ to: '@bob', message: 'look around' }))
    const names = readFileSync(join(seen, 'env'), 'utf8')
      .split('\n')
      .map((line) => line.split('=')[0])
    // The shell adds the last three.
    const own = names.filter((name) => name !== '' && !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name ?? ''))
    expect(own.sort()).toEqual([
      ...['CLAUDEMESH_DAEMON', 'CLAUDEMESH_EVENT', 'CLAUDEMESH_EVENT_ID', 'CLAUDEMESH_HOOK'],
      ...['CLAUDEMESH_MEMBER_ID', 'CLAUDEMESH_MESH', 'CLAUDEMESH_RUN', 'PATH'],
    ])
  })
})

describe('pre-send', () => {
  test('lets out what it says yes to, and refuses the rest with its reason', async () => {
    const script = nodeScript(`
      const { data } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
      if (!data.message.includes('password')) process.exit(0)
      console.log(JSON.stringify({ reason: 'it names a\\npassword' }))
      process.exit(1)`)
    writeHook(hooks, 'pre-send', script)
    await configure('[pre-send]')
    expect((await bob.send({ to: '@alice', message: 'harmless', client_message_id: 'gate-1' })).status).toBe(202)
    const refused = await bob.send({ to: '@alice', message: 'my password', client_message_id: 'gate-2' })
    expect(refused.json).toMatchObject({ status: 403, code: 'pre_send_refused', detail: 'it names a password' })
    expect((await bob.request({ method: 'GET', path: '/v1/outbox/gate-2' })).status).toBe(404)
    const batch = await bob.request({
      ...{ method: 'POST', path: '/v1/send/batch' },
      body: [
        { to: '@alice', message: 'a' },
        { to: '@alice', message: 'password' },
      ],
    })
    expect((batch.json as { items: { status: number }[] }).items.map(({ status }) => status)).toEqual([202, 403])
  })

  test('that is broken lets nothing new out, and what was accepted is answered as before', async () => {
    writeHook(hooks, 'pre-send', 'exit 0')
    await configure('[pre-send]\ntimeout_seconds = 1')
    const kept = { to: '@alice', message: 'kept', client_message_id: 'gate-3' }
    expect((await bob.send(kept)).status).toBe(202)
    for (const script of ['kill -9 $$', 'sleep 60', null]) {
      if (script === null) rmSync(join(hooks, 'pre-send'))
      else writeHook(hooks, 'pre-send', script)
      const answer = await bob.send({ to: '@alice', message: 'new' })
      expect(answer.json).toMatchObject({ status: 503, code: 'pre_send_unavailable' })
      expect([200, 202]).toContain((await bob.send(kept)).status)
    }
  }, 30_000)
})

describe('an operator', () => {
  test('tries a hook, sees why one does not run, and is told of a file that cannot be used', async () => {
    writeHook(hooks, 'on-dm', keeping(`echo '{"reply":"would go out"}'`))
    await configure('[on-dm]\nallow_reply = true\ncapabilities = ["dm:send:<sender>"]')
    const tried = JSON.parse(bob.cli(['daemon', 'hooks', 'test', 'on-dm', '--json'])) as HookTestAnswer
    expect(tried).toMatchObject({ reply: 'would go out', run: { result: 'ok', event_id: null } })
    expect(bob.cli(['daemon', 'hooks', 'list'])).toContain('on-dm: ready')
    expect(bob.run(['daemon', 'hooks', 'test', 'on-mention']).stderr).toContain(
      'hooks.toml has no section [on-mention]',
    )
    writeHooksFile(hooks, '[on-dm]\nallow_repy = true\n')
    bob.running.signal('SIGHUP')
    const told = await eventually('health says so', async () =>
      (await bob.health())?.conditions.find(({ code }) => code === 'config_reload_failed'),
    )
    expect(told.text).toContain(`${hooks}/hooks.toml:2: a hook has no allow_repy; did you mean allow_reply?`)
    expect((await listHooks()).hooks[0]).toMatchObject({ name: 'on-dm', allow_reply: true })
  })
})
