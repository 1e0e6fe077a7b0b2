/** The doctor as a command beside a broker that runs, under load, on either engine. */
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { ask, freshDatabase } from '../support/postgres.ts'
import { makeClusterDirectory, PostgresCluster } from '../support/postgres-cluster.ts'
import { RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { receiveUntil, sendUntil } from '../support/steady-traffic.ts'

const places = [
  {
    engine: 'SQLite',
    async open() {
      const data = join(scratchDirectory(), 'broker')
      return {
        args: ['--data', data],
        async change(statement: string): Promise<void> {
          const db = new BetterSqlite3(join(data, 'broker.db'), { timeout: 5_000 })
          db.exec(statement)
          db.close()
        },
      }
    },
  },
  {
    engine: 'PostgreSQL',
    async open() {
      const url = await freshDatabase()
      return {
        args: ['--database-url', url],
        change: async (statement: string) => void (await ask(url, `SET search_path TO mesh; ${statement}`)),
      }
    },
  },
]

for (const { engine, open } of places) {
  test(`beside a broker under load it finds nothing, then what was planted, and the broker's metric tells it too (${engine})`, async () => {
    const { args, change } = await open()
    const url = await startBroker(args)
    const mesh = new RawMesh()
    const reader = mesh.join('reader')
    await (await RawMember.connect(url, reader)).close()
    const loaded = new AbortController()
    const sending = sendUntil(loaded.signal, { url, sender: mesh.founder, reader })
    const received = receiveUntil(loaded.signal, { url, reader })
    const checked: number[] = []
    for (let n = 1; n <= 3; n += 1) {
      await eventually('traffic flows', () => received.count() > n * 200)
      const healthy = await doctor([...args, '--json'])
      expect(healthy, healthy.output).toMatchObject({ code: 0 })
      const diagnosis = JSON.parse(healthy.output) as { checked: Record<string, number>; findings: unknown[] }
      expect(diagnosis.findings).toEqual([])
      checked.push(diagnosis.checked['topic_message'] ?? 0)
    }
    loaded.abort()
    await sending
    expect(checked).toEqual(checked.toSorted((one, other) => one - other))
    expect(checked[0]).toBeGreaterThan(0)

    await change('DELETE FROM client_message_dedupe WHERE history_id = 7')
    const ill = await doctor(args)
    expect(ill.code).toBe(1)
    expect(ill.output).toMatch(/message_without_dedupe \(1\): .* delivered a second time/)
    expect(ill.output).toMatch(/table=topic_message id=\w+ .* history_id=7/)
    expect(ill.output).toMatch(/^ {2}-> Insert the dedupe row/m)
    const metric = 'cm_broker_atomicity_violation_found{kind="message_without_dedupe"} 1'
    const metricsUrl = new URL('/metrics', url.replace(/^ws/, 'http'))
    await eventually('the job has found it', async () => (await (await fetch(metricsUrl)).text()).includes(metric))
  }, 120_000)
}

test('a server that does not sync what it commits is named at the start and by the doctor', async () => {
  const directory = makeClusterDirectory()
  onTestFinished(() => PostgresCluster.removeAt(directory))
  const { url } = await PostgresCluster.start({ directory, durable: false })
  const broker = new ManagedProcess(['broker', 'start', '--database-url', url, '--port', '0'], {})
  onTestFinished(async () => void (await broker.kill()))
  await eventually('the broker listens', () => broker.output.includes('broker listening'))
  expect(broker.output).toMatch(/"setting":"fsync","value":"off".*"msg":"database_not_durable"/)
  const { code, output } = await doctor(['--database-url', url])
  expect(code, output).toBe(0)
  expect(output).toMatch(/^warning: fsync = off: .*power cut/m)
  expect(output).toMatch(/^warning: full_page_writes = off: /m)

  await ask(url, 'ALTER SYSTEM SET fsync = on')
  await ask(url, 'ALTER SYSTEM SET full_page_writes = on')
  await ask(url, 'SELECT pg_reload_conf()')
  await eventually('the server syncs', async () => (await ask<{ fsync: string }>(url, 'SHOW fsync'))[0]?.fsync === 'on')
  expect((await doctor(['--database-url', url])).output).not.toContain('warning:')
}, 120_000)

test('a database of another schema is left as it is', async () => {
  const data = join(scratchDirectory(), 'broker')
  await startBroker(['--data', data])
  const db = new BetterSqlite3(join(data, 'broker.db'), { timeout: 5_000 })
  onTestFinished(() => void db.close())
  const versions = () => db.prepare('SELECT version FROM schema_migration').pluck().all()
  db.exec('DELETE FROM schema_migration WHERE version > 1')
  const { code, output } = await doctor(['--data', data])
  expect(code).toBe(1)
  expect(output).toMatch(/schema_differs.*found=1/s)
  expect(versions()).toEqual([1])
})

test('where there is no database it says so', async () => {
  const data = scratchDirectory()
  const { code, output } = await doctor(['--data', data])
  expect(code).toBe(64)
  expect(output).toContain(`there is no database of a broker in ${data}`)
})

/** @returns where it listens */
async function startBroker(args: readonly string[]): Promise<string> {
  const process = new ManagedProcess(['broker', 'start', ...args, '--port', '0'], {
    CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '10',
  })
  onTestFinished(async () => void (await process.kill()))
  return eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return /broker listening on (\S+)\n/.exec(process.output)?.[1]
  })
}

async function doctor(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const process = new ManagedProcess(['broker', 'doctor', ...args], {})
  const { code } = await process.ended
  return { code, output: process.output }
}
