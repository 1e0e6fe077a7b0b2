/** Workers on two hosts share the work of a queue, while some of what they rely on is killed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeadMessage, OutboxDetail, Queue, QueueList } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'

const jobs = 200
const beforeAnyConsumer = 40
const deliveriesMax = 4
const jobNames = Array.from({ length: jobs }, (_, index) => `job-${index}`)
/** Nobody can do these until they are repaired. All are sent when every worker is there. */
const poisoned = new Set(['job-60', 'job-90', 'job-120', 'job-150', 'job-199'])

/** Writes a job down after its work. `$1` is who works: `clumsy` fails every seventh job the first time. */
const workScript = `
job=$(cat)
case " ${[...poisoned].join(' ')} " in *" $job "*) [ -e "$WORK/repaired" ] || exit 7;; esac
if [ "$1" = clumsy ] && [ $(( \${job#job-} % 7 )) = 0 ] && [ "$CLAUDEMESH_DELIVERIES" = 1 ]; then exit 3; fi
sleep 0.05
echo "$job $CLAUDEMESH_MESSAGE_ID $1" >> "$WORK/done"
`

describe('two hundred jobs and three workers on two hosts', () => {
  let mesh: TestMesh
  let alice: TestMember
  const workers = new Map<string, ManagedProcess>()

  function startWorker(name: string, host: string, concurrency: number): void {
    const args = ['queue', 'consume', 'jobs', '--mesh', meshSlug, '--lease', '8s', '--concurrency', String(concurrency)]
    const command = ['--max-deliveries', String(deliveriesMax), '--', 'sh', '-c', workScript, 'work', name]
    const env = { CLAUDEMESH_HOME: mesh.member(host).home, WORK: mesh.directory }
    workers.set(name, new ManagedProcess([...args, ...command], env))
  }
  const worker = (name: string): ManagedProcess => {
    const found = workers.get(name)
    if (found === undefined) throw new Error(`no worker ${name}`)
    return found
  }
  const runs = (): readonly string[] => {
    const path = join(mesh.directory, 'done')
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
  }
  const distinctJobs = () => new Set(runs().map((line) => line.split(' ')[0])).size
  const sendJobs = async (names: readonly string[]) => {
    for (const name of names) {
      const answer = await alice.send({ to: 'queue:jobs', message: name, client_message_id: name })
      expect(answer.status).toBe(202)
    }
  }
  /** As soon as the broker answers. */
  const queue = () =>
    eventually('the broker tells of the queue', async (): Promise<Queue | null> => {
      const { status, json } = await alice.request({ method: 'GET', path: '/v1/queue/list' })
      return status === 200 ? ((json as QueueList).queues[0] ?? null) : null
    })
  const detailOf = async (name: string) =>
    (await alice.request({ method: 'GET', path: `/v1/outbox/${name}` })).json as OutboxDetail

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'ann', 'ben'])
    alice = mesh.member('alice')
  }, 120_000)
  afterAll(async () => {
    for (const process of workers.values()) if (process.ending === null) await process.kill()
    await mesh.end()
  })

  test('wait at their sender, and say why, as long as nobody consumes the queue', async () => {
    await sendJobs(jobNames.slice(0, beforeAnyConsumer))
    const row = await eventually('the row says why it waits', async () => {
      const detail = await detailOf('job-0')
      return detail.row.last_error === null ? null : detail.row
    })
    expect(row.status).toBe('pending')
    expect(row.last_error).toMatch(/^queue_without_consumers: .*queue:jobs$/)
  })

  test('are each acknowledged once, although a worker and the broker are killed and another worker fails', async () => {
    startWorker('steady', 'ann', 2)
    startWorker('doomed', 'ann', 2)
    startWorker('clumsy', 'ben', 2)
    await eventually('both hosts consume', async () => (await queue()).consumers === 2)
    await sendJobs(jobNames.slice(beforeAnyConsumer))
    await eventually('some are done', () => distinctJobs() >= 50, { withinMs: 60_000 })
    await worker('doomed').kill()
    await eventually('more are done', () => distinctJobs() >= 100, { withinMs: 60_000 })
    await mesh.broker.kill()
    await mesh.broker.start()
    await eventually('all that can be done are', () => distinctJobs() === jobs - poisoned.size, { withinMs: 120_000 })
    await eventually(
      'the others are dead',
      async () => {
        const { waiting, leased, dead } = await queue()
        return waiting === 0 && leased === 0 && dead === poisoned.size
      },
      { withinMs: 120_000 },
    )
  }, 400_000)

  test('that nobody could do are listed with the reason, and done once they are requeued', async () => {
    const ann = mesh.member('ann')
    const list = () =>
      (JSON.parse(ann.cli(['queue', 'dead', 'list', 'jobs', '--json'])) as { messages: readonly DeadMessage[] })
        .messages
    const dead = list()
    expect(new Set(dead.map(({ message }) => message))).toEqual(poisoned)
    for (const message of dead) {
      expect(message).toMatchObject({ deliveries: deliveriesMax, opened: true, sender_name: 'alice' })
      // The last one to have it may have been the one that was killed, or its answer lost with the broker.
      expect(message.reason).toMatch(/^(exit_7|lease_over)$/)
      expect(['ann', 'ben']).toContain(message.consumer_name)
    }
    writeFileSync(join(mesh.directory, 'repaired'), '')
    expect(JSON.parse(ann.cli(['queue', 'dead', 'requeue', 'jobs', '--all', '--json']))).toEqual({
      requeued: poisoned.size,
    })
    await eventually('everything is done', () => distinctJobs() === jobs, { withinMs: 60_000 })
    expect(list()).toEqual([])
  }, 120_000)

  test('leave nothing behind: every sender knows, every worker ends well, and nothing ran twice without a cause', async () => {
    await eventually('nothing is left', async () => {
      const { waiting, leased } = await queue()
      return waiting + leased === 0
    })
    const tallies: (readonly number[])[] = []
    for (const name of ['steady', 'clumsy']) {
      worker(name).signal('SIGTERM')
      const ending = await worker(name).ended
      expect([name, ending]).toEqual([name, { code: 0, signal: null }])
      const tally = /(\d+) done, (\d+) returned, (\d+) dead, (\d+) lost/.exec(worker(name).output)
      if (tally === null) throw new Error(`${name} printed no tally: ${worker(name).output}`)
      tallies.push(tally.slice(1).map(Number))
    }
    let acknowledged = 0
    for (const name of jobNames) {
      const detail = await eventually(`alice knows of ${name}`, async () => {
        const found = await detailOf(name)
        return found.row.state === 'delivered' ? found : null
      })
      acknowledged += detail.receipts.filter(({ state }) => state === 'delivered').length
    }
    const all = runs().length
    const lost = tallies.reduce((sum, tally) => sum + (tally[3] ?? 0), 0)
    const lines = ['steady', 'clumsy'].map((name, index) => `${name} [done, returned, dead, lost] ${tallies[index]}`)
    process.stdout.write(`queue: ${jobs} jobs, ${acknowledged} acknowledged, ${all} runs; ${lines.join('; ')}\n`)
    expect(acknowledged).toBe(jobs)
    // What the killed worker had at that moment, and work whose lease was lost while the broker was away.
    expect(all - jobs).toBeLessThanOrEqual(2 + lost)
  }, 120_000)
})
