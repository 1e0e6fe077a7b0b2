/** The main job through the command line: two members, their daemons in the background, and the broker that one brings up. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { daemonPaths, type Health, type Message, type OutboxDetail, type SendResponse } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { CommandLine, type DaemonStarted, killIfThere } from './command-line.ts'

interface Status extends Health {
  readonly running: true
  readonly queue: Readonly<Record<string, number>>
}

const alice = new CommandLine(afterAll)
const bob = new CommandLine(afterAll)

beforeAll(async () => {
  alice.json(['init', '--name', 'alice'])
  alice.json(['daemon', 'start'])
  await eventually('the daemon has brought up its broker', () => alice.run(['daemon', 'status']).status === 0)
  const { token } = alice.json<{ token: string }>(['invite', 'create'])
  bob.json(['join', '-', '--name', 'bob'], { input: token })
  bob.json(['daemon', 'start'])
  await eventually('both are there', () =>
    [alice, bob].every((one) => one.json<{ peers: unknown[] }>(['peers']).peers.length === 2),
  )
}, 60_000)

afterAll(() => {
  for (const one of [alice, bob]) killIfThere(pidOf(one))
  const { pid } = JSON.parse(alice.run(['broker', 'status', '--json']).stdout) as { pid: number | null }
  killIfThere(pid)
})

function pidOf(line: CommandLine): number | null {
  const { stdout } = line.run(['daemon', 'status', '--json'])
  return (JSON.parse(stdout) as { pid: number | null }).pid
}

function inboxOf(line: CommandLine, ...options: readonly string[]): readonly Message[] {
  return line.json<{ messages: Message[] }>(['inbox', ...options]).messages
}

describe('the daemon', () => {
  test('is described on one screen, and to programs', () => {
    const { status, stdout } = alice.run(['daemon', 'status'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^healthy\n/)
    const described = alice.json<Status>(['daemon', 'status'])
    expect(described).toMatchObject({
      running: true,
      mesh: 'home',
      socket: daemonPaths(alice.home, 'home').socket,
      member_id: alice.json<{ member_id: string }>(['whoami']).member_id,
      queue: { pending: 0, inflight: 0, dead: 0, aborted: 0 },
    })
    expect(described.queue['done']).toBeTypeOf('number')
  })

  test('that runs is a success to start again', () => {
    const { outcome, pid } = alice.json<DaemonStarted>(['daemon', 'start'])
    expect({ outcome, pid }).toEqual({ outcome: 'already_running', pid: pidOf(alice) })
  })

  test('started by several at once is one, and all of them succeed', async () => {
    alice.json(['daemon', 'stop'])
    const started = await Promise.all([1, 2, 3].map(() => startInBackground(alice)))
    expect(started.map(({ status }) => status)).toEqual([0, 0, 0])
    expect(new Set(started.map(({ pid }) => pid)).size).toBe(1)
  })

  test('restarts as another process', () => {
    const before = pidOf(alice)
    const { pid, previous_pid } = alice.json<DaemonStarted & { previous_pid: number }>(['daemon', 'restart'])
    expect(previous_pid).toBe(before)
    expect(pid).not.toBe(before)
  })

  test('stops, and the command returns when it is gone', () => {
    const { pid } = bob.json<Status>(['daemon', 'status'])
    expect(bob.json(['daemon', 'stop'])).toMatchObject({ outcome: 'stopped', pid })
    expect(JSON.parse(bob.run(['daemon', 'status', '--json']).stdout)).toMatchObject({ running: false, pid: null })
    expect(bob.json(['daemon', 'start'])).toMatchObject({ outcome: 'started' })
  })

  test('killed comes up again, whatever it left behind', () => {
    const paths = daemonPaths(bob.home, 'home')
    killIfThere(pidOf(bob))
    // A recycled pid: the one of this very process, which must survive both commands.
    writeFileSync(paths.pid, `${process.pid}\n`)
    expect(bob.json(['daemon', 'stop'])).toMatchObject({ outcome: 'not_running' })
    expect(bob.json(['daemon', 'start'])).toMatchObject({ outcome: 'started' })
  })

  test('shows its log to people and to programs', () => {
    expect(alice.run(['daemon', 'logs', '--lines', '200']).stdout).toMatch(/INFO lifecycle/)
    const lines = alice.run(['daemon', 'logs', '--lines', '3', '--json']).stdout.trimEnd().split('\n')
    expect(lines.map((line) => typeof JSON.parse(line))).toEqual(['object', 'object', 'object'])
  })
})

function startInBackground(line: CommandLine): Promise<{ status: number | null; pid: number }> {
  const child = spawn(process.execPath, [claudemeshBin, 'daemon', 'start', '--json'], {
    env: { ...cleanEnvironment(), CLAUDEMESH_HOME: line.home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return new Promise((resolve) => {
    child.on('close', (status) => resolve({ status, pid: (JSON.parse(text) as DaemonStarted).pid }))
  })
}

describe('a message', () => {
  test('reaches the other inbox, and the command says so only then', () => {
    const ran = alice.run(['send', '--to', '@bob', '--wait', 'delivered', 'build is green'])
    expect(ran.status).toBe(0)
    expect(ran.stdout).toMatch(/^delivered {2}message [0-9A-Z]{26} /)
    const received = inboxOf(bob).find(({ message }) => message === 'build is green')
    expect(received).toMatchObject({ sender_name: 'alice', destination_kind: 'dm', read_at: null })
  })

  test('is one message however often it is sent with its key', () => {
    const send = () =>
      alice.json<SendResponse>(['send', '--to', '@bob', '--id', 'deploy-4711', '--wait', 'accepted', 'done'])
    const [one, other] = [send(), send()]
    expect(other).toMatchObject({ duplicate: true, broker_message_id: one.broker_message_id })
    const conflict = alice.problem(['send', '--to', '@bob', '--id', 'deploy-4711', 'something else'])
    expect(conflict).toMatchObject({ code: 'idempotency_key_reused', exitCode: 65, client_message_id: 'deploy-4711' })
  })

  test('carries what the options say', () => {
    const first = alice.json<SendResponse>(['send', '--to', 'bob', 'question'])
    const options = ['--reply-to', first.broker_message_id ?? '', '--meta', 'pr=17', '--meta', 'branch=main']
    alice.json([
      'send',
      '--to',
      '@bob',
      ...options,
      '--content-type',
      'text/markdown',
      '--priority',
      'now',
      '--wait',
      'delivered',
      '*answer*',
    ])
    expect(inboxOf(bob).find(({ message }) => message === '*answer*')).toMatchObject({
      reply_to_id: first.broker_message_id,
      meta: { pr: 17, branch: 'main' },
      content_type: 'text/markdown',
      priority: 'now',
    })
  })

  test('is taken whole from a file or from stdin', () => {
    const body = 'first line\n\ttab, größe, 東京\n'
    const file = join(alice.home, 'body.md')
    writeFileSync(file, body)
    alice.json(['send', '--to', '@bob', '--wait', 'delivered', '--file', file])
    alice.json(['send', '--to', '@bob', '--wait', 'delivered', '-'], { input: body })
    expect(inboxOf(bob).filter(({ message }) => message === body)).toHaveLength(2)
  })

  test('that is not text is refused before anything is sent', () => {
    const ran = alice.run(['send', '--to', '@bob', '-'], { input: Buffer.from([0xff, 0xfe]) })
    expect(ran.status).toBe(64)
    expect(ran.stderr).toContain('not text in UTF-8')
  })

  test('to nobody is refused with the names that are near', () => {
    const ran = alice.run(['send', '--to', '@bbo', 'hello'])
    expect(ran.status).toBe(65)
    expect(ran.stderr).toContain('did you mean bob?')
  })

  test('is read, and its sender can know', () => {
    const sent = alice.json<SendResponse>(['send', '--to', '@bob', '--wait', 'delivered', 'please read'])
    const id = sent.broker_message_id ?? ''
    expect(inboxOf(bob, '--unread').map((message) => message.id)).toContain(id)
    expect(bob.run(['inbox', 'read', id]).stdout).toMatch(/\nplease read\n$/)
    expect(inboxOf(bob, '--unread').map((message) => message.id)).not.toContain(id)
    bob.json(['inbox', 'mark', id, '--unread'])
    expect(inboxOf(bob, '--unread').map((message) => message.id)).toContain(id)
  })

  test('cannot drive the terminal of its reader', () => {
    alice.json(['send', '--to', '@bob', '--wait', 'delivered', 'evil \u001b[2J title'])
    const { stdout } = bob.run(['inbox', '--search', 'evil'])
    expect(stdout).toContain('evil \\x1b[2J title')
    expect(stdout).not.toContain('\u001b')
  })

  test('belongs to a thread', () => {
    const first = alice.json<SendResponse>(['send', '--to', '@bob', '--wait', 'delivered', 'thread root'])
    const id = first.broker_message_id ?? ''
    bob.json(['send', '--to', '@alice', '--reply-to', id, '--wait', 'delivered', 'thread reply'])
    const { messages } = alice.json<{ messages: Message[] }>(['inbox', 'thread', id])
    expect(messages.map(({ message }) => message)).toEqual(['thread root', 'thread reply'])
  })

  test('waits for a state that does not come, and the command says what there is', () => {
    bob.json(['daemon', 'stop'])
    const ran = alice.run(['send', '--to', '@bob', '--wait', 'delivered', '--timeout', '1', 'later'])
    expect(ran.status).toBe(75)
    expect(ran.stdout).toMatch(/^accepted /)
    expect(ran.stderr).toContain('delivered was not reached in time')
    bob.json(['daemon', 'start'])
  })
})

describe('a topic', () => {
  test('carries what is posted to those who subscribed', () => {
    bob.json(['topic', 'subscribe', 'changes'])
    alice.json(['topic', 'post', 'changes', '--wait', 'delivered', 'release 1.4'])
    expect(inboxOf(bob, '--topic', 'changes').map(({ message }) => message)).toEqual(['release 1.4'])
    const { topics } = bob.json<{ topics: unknown[] }>(['topic', 'list'])
    expect(topics).toContainEqual(expect.objectContaining({ name: 'changes', wanted: true, subscribed: true }))
    expect(bob.json(['topic', 'unsubscribe', '#changes'])).toMatchObject({ wanted: false })
  })
})

describe('a message that can have no receipt', () => {
  test('for want of recipients is accepted, and the command says so at once', () => {
    alice.json(['topic', 'subscribe', 'empty'])
    const ran = alice.run(['send', '--to', '#empty', '--wait', 'delivered', 'anybody?'])
    expect(ran.stdout).toMatch(/^accepted /)
    expect({ status: ran.status, stderr: ran.stderr }).toEqual({
      status: 65,
      stderr: expect.stringContaining('nobody else subscribes to the topic'),
    })
  })

  test('because none was asked for is not waited for', () => {
    const args = ['send', '--to', '@bob', '--no-receipts', '--wait', 'delivered', 'x']
    expect(alice.problem(args)).toMatchObject({ code: 'invalid_usage', exitCode: 64 })
  })
})

describe('the outbox', () => {
  test('shows a send with what is proven of it, by its key', () => {
    alice.json(['send', '--to', '@bob', '--id', 'shown', '--wait', 'delivered', 'x'])
    const detail = alice.json<OutboxDetail>(['daemon', 'outbox', 'show', 'shown'])
    expect(detail).toMatchObject({ row: { status: 'done', state: 'delivered' }, receipts: [{ state: 'delivered' }] })
    expect(alice.run(['daemon', 'outbox', 'list', '--status', 'done']).stdout).toContain('shown')
  })

  test('refuses to requeue or drop what is done', () => {
    const { row } = alice.json<OutboxDetail>(['daemon', 'outbox', 'show', 'shown'])
    for (const verb of ['requeue', 'drop']) {
      expect(alice.problem(['daemon', 'outbox', verb, '--id', row.id])).toMatchObject({
        code: 'outbox_row_not_operable',
        exitCode: 65,
      })
    }
  })

  test('prunes only when that is confirmed', () => {
    expect(alice.run(['daemon', 'outbox', 'prune']).status).toBe(64)
    expect(alice.json(['daemon', 'outbox', 'prune', '--confirm', '--older-than', '1d'])).toEqual({ pruned: 0 })
  })
})

describe('tail', () => {
  test('shows every message once and in order, across a kill of the daemon', async () => {
    const tail = bob.follow(['tail', '--types', 'message', '--since', '0'])
    const texts = () =>
      tail.items.map(({ data }) => (data as Message).message).filter((text) => text?.startsWith('tail'))
    alice.json(['send', '--to', '@bob', '--wait', 'delivered', 'tail 1'])
    await eventually('the first message is shown', () => texts().includes('tail 1'))
    killIfThere(pidOf(bob))
    alice.json(['send', '--to', '@bob', 'tail 2'])
    bob.json(['daemon', 'start'])
    alice.json(['send', '--to', '@bob', '--wait', 'delivered', 'tail 3'])
    await eventually('the last message is shown', () => texts().includes('tail 3'))
    expect(texts()).toEqual(['tail 1', 'tail 2', 'tail 3'])
    expect(tail.notes).toContain('waiting for the daemon')
    expect(tail.notes).toContain('the daemon is back')
    const ids = tail.items.map(({ id }) => Number(id))
    expect(ids).toEqual([...ids].sort((one, other) => one - other))
  })
})

describe('a reader that has seen enough', () => {
  test('ends the command without an error', async () => {
    const child = spawn(
      'sh',
      ['-c', `"$0" "$1" daemon logs --lines 100000 | head -n 1`, process.execPath, claudemeshBin],
      {
        env: { ...cleanEnvironment(), CLAUDEMESH_HOME: alice.home },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    await new Promise((resolve) => child.on('close', resolve))
    expect(errors).toBe('')
  })
})

test('a mesh may have another name in the home of a member', () => {
  const carol = new CommandLine()
  const { token } = alice.json<{ token: string }>(['invite', 'create'])
  carol.json(['join', '-', '--name', 'carol', '--mesh', 'elsewhere'], { input: token })
  carol.startDaemon('elsewhere')
  expect(carol.json<Status>(['daemon', 'status'])).toMatchObject({ running: true, mesh: 'elsewhere' })
  expect(carol.json(['send', '--to', '@bob', '--wait', 'delivered', 'hi'])).toMatchObject({ state: 'delivered' })
})

test('no log holds a message or a token', () => {
  const logs = [alice, bob].map((one) => readFileSync(daemonPaths(one.home, 'home').log, 'utf8')).join('')
  expect(logs).not.toContain('build is green')
  expect(logs).not.toContain('cm1')
})
