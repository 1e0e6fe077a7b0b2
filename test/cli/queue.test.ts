/** `claudemesh queue` as people and supervisors use it: one member who sends work to itself. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { QueueList, WorkMessage } from '@claudemesh/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'

let mesh: TestMesh
let solo: TestMember
let queue = ''
let tests = 0
const workers: ManagedProcess[] = []

beforeAll(async () => {
  mesh = await TestMesh.start(['solo'])
  solo = mesh.member('solo')
}, 60_000)
afterAll(() => mesh.end())
// Each test has a queue of its own.
beforeEach(() => {
  tests += 1
  queue = `work-${tests}`
})
afterEach(async () => {
  for (const worker of workers.splice(0)) if (worker.ending === null) await worker.kill()
})

const file = (name: string) => join(mesh.directory, `${queue}-${name}`)
const read = (name: string) => readFileSync(file(name), 'utf8')
const consume = (...args: readonly string[]) => solo.run(['queue', 'consume', queue, ...args])
const joinQueue = () => solo.request({ method: 'POST', path: '/v1/queue/consume', body: { queue } })

async function send(message: string, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const answer = await solo.send({ to: `queue:${queue}`, message, ...more }, '?wait=20000&until=accepted')
  expect(answer.json).toMatchObject({ state: 'accepted' })
}

function startWorker(args: readonly string[], script: string): ManagedProcess {
  const env = { CLAUDEMESH_HOME: solo.home }
  const line = ['queue', 'consume', queue, '--mesh', meshSlug, ...args, '--', 'sh', '-c', script]
  const worker = new ManagedProcess(line, env)
  workers.push(worker)
  return worker
}

async function counts(): Promise<{ waiting: number; leased: number; dead: number }> {
  const { queues } = (await solo.request({ method: 'GET', path: '/v1/queue/list' })).json as QueueList
  const found = queues.find(({ name }) => name === queue)
  if (found === undefined) throw new Error(`there is no queue:${queue}`)
  return { waiting: found.waiting, leased: found.leased, dead: found.dead }
}

describe('without a command', () => {
  const takeOne = () => JSON.parse(consume('--once').stdout) as WorkMessage

  test('prints one message as a line of JSON, which is then acknowledged once', async () => {
    await joinQueue()
    await send('build', { meta: { pr: 17 } })
    const message = takeOne()
    expect(message).toMatchObject({ queue, message: 'build', meta: { pr: 17 }, sender_name: 'solo', deliveries: 1 })
    const ack = () => solo.run(['queue', 'ack', message.id, '--lease', message.lease_id])
    expect(ack()).toMatchObject({ status: 0, stdout: `${message.id} is done\n` })
    expect(ack()).toMatchObject({ status: 0 })
    expect(await counts()).toEqual({ waiting: 0, leased: 0, dead: 0 })
  })

  test('what is given back is given out again, and the old lease counts no more', async () => {
    await joinQueue()
    await send('build')
    const first = takeOne()
    solo.cli(['queue', 'nack', first.id, '--lease', first.lease_id, '--reason', 'not_now'])
    const second = takeOne()
    expect(second).toMatchObject({ id: first.id, deliveries: 2 })
    const late = solo.run(['queue', 'ack', first.id, '--lease', first.lease_id])
    expect(late).toMatchObject({ status: 75, stdout: expect.stringContaining('does not count') })
    solo.cli(['queue', 'ack', second.id, '--lease', second.lease_id])
  })
})

describe('a command', () => {
  test('gets the body on stdin and the rest as variables, and its 0 is the acknowledgement', async () => {
    await joinQueue()
    await send('line one\nline two', { meta: { pr: 17 }, client_message_id: `${queue}-1` })
    const script = `cat > ${file('body')}; env | grep ^CLAUDEMESH_ > ${file('env')}`
    const { status, stderr } = consume('--once', '--', 'sh', '-c', script)
    expect([status, stderr]).toEqual([0, '1 done, 0 returned, 0 dead, 0 lost\n'])
    expect(read('body')).toBe('line one\nline two')
    const variables = new Map(
      read('env')
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
    )
    expect(Object.fromEntries(variables)).toMatchObject({
      CLAUDEMESH_QUEUE: queue,
      CLAUDEMESH_CLIENT_MESSAGE_ID: `${queue}-1`,
      CLAUDEMESH_SENDER_NAME: 'solo',
      CLAUDEMESH_DELIVERIES: '1',
      CLAUDEMESH_META: '{"pr":17}',
      CLAUDEMESH_MESH: meshSlug,
      CLAUDEMESH_HOME: solo.home,
    })
    expect(await counts()).toEqual({ waiting: 0, leased: 0, dead: 0 })
  })

  test('that fails gives the message back with its exit code, until it is dead', async () => {
    await joinQueue()
    await send('hopeless')
    const first = consume('--once', '--max-deliveries', '2', '--', 'sh', '-c', 'exit 3')
    expect([first.status, first.stderr]).toEqual([75, expect.stringContaining('exit_3, goes back')])
    const second = consume('--once', '--', 'sh', '-c', 'kill -9 $$')
    expect([second.status, second.stderr]).toEqual([75, expect.stringContaining('given up after 2 deliveries')])
    expect(solo.cli(['queue', 'dead', 'list', queue])).toMatch(/killed_SIGKILL\s+solo\s+hopeless/)
    expect(solo.cli(['queue', 'dead', 'drop', queue, '--all', '--confirm'])).toBe('dropped 1 message\n')
    expect(await counts()).toEqual({ waiting: 0, leased: 0, dead: 0 })
  })

  test('that does not exist ends the worker, and the message goes back', async () => {
    await joinQueue()
    await send('build')
    const { status, stderr } = consume('--', '/nonexistent/build')
    expect([status, stderr]).toEqual([64, expect.stringContaining('cannot be started')])
    expect(await counts()).toMatchObject({ waiting: 1, leased: 0 })
  })

  test('that runs longer than the lease keeps it: nobody else gets the message', async () => {
    await joinQueue()
    startWorker(['--lease', '5s'], `echo run >> ${file('runs')}; sleep 12; touch ${file('finished')}`)
    startWorker(['--lease', '5s'], `echo run >> ${file('runs')}; sleep 12; touch ${file('finished')}`)
    await send('long')
    await eventually('it is done', () => existsSync(file('finished')), { withinMs: 60_000 })
    await eventually('it is acknowledged', async () => (await counts()).leased === 0)
    expect(read('runs')).toBe('run\n')
  }, 90_000)

  test('whose lease was lost does not count, and that is said', async () => {
    await joinQueue()
    const slow = startWorker(
      ['--lease', '1s'],
      `touch ${file('started')}; while [ ! -e ${file('go')} ]; do sleep 0.1; done`,
    )
    await send('contested')
    await eventually('it has begun', () => existsSync(file('started')))
    // As a host that was asleep: its worker renews nothing.
    slow.signal('SIGSTOP')
    expect(consume('--once', '--', 'true').stderr).toContain('1 done')
    slow.signal('SIGCONT')
    await eventually('it is told', () => slow.output.includes('its lease is lost'))
    writeFileSync(file('go'), '')
    slow.signal('SIGTERM')
    expect(await slow.ended).toEqual({ code: 0, signal: null })
    expect(slow.output).toContain('0 done, 0 returned, 0 dead, 1 lost')
  }, 90_000)
})

describe('a worker', () => {
  test('that is told to end takes nothing more and waits for what runs', async () => {
    await joinQueue()
    const worker = startWorker([], `touch ${file('started')}; while [ ! -e ${file('go')} ]; do sleep 0.1; done`)
    await send('first')
    await send('second')
    await eventually('it has begun', () => existsSync(file('started')))
    worker.signal('SIGTERM')
    await eventually('it says so', () => worker.output.includes('waiting for what runs'))
    expect(worker.ending).toBeNull()
    writeFileSync(file('go'), '')
    expect(await worker.ended).toEqual({ code: 0, signal: null })
    expect(worker.output).toContain('1 done, 0 returned')
    expect(await counts()).toEqual({ waiting: 1, leased: 0, dead: 0 })
  })

  test('that is told twice kills what runs, and the message goes back', async () => {
    await joinQueue()
    const worker = startWorker([], `echo $$ > ${file('pid')}; touch ${file('started')}; sleep 600`)
    await send('endless')
    await eventually('it has begun', () => existsSync(file('started')))
    worker.signal('SIGINT')
    await eventually('it says so', () => worker.output.includes('waiting for what runs'))
    worker.signal('SIGINT')
    expect(await worker.ended).toEqual({ code: 0, signal: null })
    expect(worker.output).toContain('interrupted, goes back')
    await eventually('the command is gone', () => !isAlive(Number(read('pid'))))
    expect(await counts()).toEqual({ waiting: 1, leased: 0, dead: 0 })
  })

  test('waits for a daemon and a broker that are away, and goes on', async () => {
    await joinQueue()
    const worker = startWorker([], `cat >> ${file('bodies')}`)
    await send('one ')
    await eventually('it works', () => existsSync(file('bodies')))
    await solo.kill()
    await eventually('it says what it waits for', () => worker.output.includes('waiting: '))
    await mesh.broker.kill()
    await solo.start()
    await mesh.broker.start()
    await send('two ')
    await eventually('it goes on', () => read('bodies') === 'one two ')
    expect(worker.ending).toBeNull()
  }, 90_000)

  test('is no consumer any more after `queue leave`, until it starts again', async () => {
    await joinQueue()
    expect(solo.cli(['queue', 'leave', queue])).toBe(
      `queue:${queue} has 0 consumers, and this member is none of them\n`,
    )
    const sent = solo.run(['send', '--to', `queue:${queue}`, 'early'])
    expect([sent.status, sent.stderr]).toEqual([0, expect.stringContaining('waits: queue_without_consumers')])
    expect(consume('--once', '--', 'sh', '-c', `cat > ${file('body')}`).stderr).toContain('1 done')
    expect(read('body')).toBe('early')
  }, 90_000)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    // No such process.
    return false
  }
}
