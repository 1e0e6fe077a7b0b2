/**
 * A daemon under traffic with two sinks, its history compacted and pruned all the time, daemon and receiver killed at any
 * moment: in the end the ledger of the one and the Parquet files of the other hold every row, once.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { daemonPaths, type HistoryRow } from '@claudemesh/protocol'
import type { Sink, SinkList } from '@claudemesh/protocol/sinks'
import { afterAll, expect, test } from 'vitest'
import { ensurePrivateDirectory } from '../../packages/storage/src/index.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort, meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'
import { readIndependently } from '../support/parquet-reader.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'
import { sendUntilAcknowledged } from '../support/traffic.ts'

const seconds = Number(process.env['CLAUDEMESH_TEST_SINK_SECONDS'] ?? 10)
const { seed, next } = seeded()
/** So much text that retention has something to take. */
const filler = 'x'.repeat(4_000)
const senders = 4

interface Row {
  readonly rowId: string
  readonly key: string
}

interface Stats {
  readonly partitions: readonly { readonly rows: number; readonly pruned_rows: number; readonly lost_rows: number }[]
}

let mesh: TestMesh
afterAll(() => mesh.end())

test(
  `every row leaves once through each of two sinks, whoever is killed (${seconds} s, seed ${seed})`,
  async () => {
    const exports = join(scratchDirectory(), 'exports')
    const receiver = await Receiver.start()
    mesh = await TestMesh.start(['alice', 'bob'], {
      prepareHome: (_, home) => configure(home, { exports, url: receiver.url }),
    })
    const alice = mesh.member('alice')
    const done = { compactions: 0, prunes: 0, daemonKills: 0, receiverKills: 0 }
    const acknowledged: string[] = []
    const ending = new AbortController()
    const { signal } = ending
    const work = [
      ...Array.from({ length: senders }, (_, sender) =>
        repeat(signal, async (n) => {
          const key = `${sender}-${n}`
          await sendUntilAcknowledged(alice, { to: '@bob', message: `${key} ${filler}`, client_message_id: key })
          acknowledged.push(key)
        }),
      ),
      ...['lake', 'collector'].map((name) => repeat(signal, () => post(alice, `/v1/sinks/${name}/run`), 200)),
      counting(signal, { act: () => post(alice, '/v1/history/compact'), pauseMs: 1_500 }, (n) => {
        done.compactions += n
      }),
      counting(signal, { act: () => post(alice, '/v1/history/prune'), pauseMs: 700 }, (n) => {
        done.prunes += n
      }),
    ]
    const end = performance.now() + seconds * 1_000
    while (performance.now() < end) {
      await pause(500 + next() * 1_500)
      if (next() < 0.3) {
        await receiver.restart()
        done.receiverKills += 1
      } else {
        await alice.start()
        done.daemonKills += 1
      }
    }
    ending.abort()
    await Promise.all(work)
    await alice.drained()
    await eventually('everything is exported', () => isExported(alice), { withinMs: 120_000 })

    const { json } = await alice.request({ method: 'GET', path: '/v1/history/stats' })
    const { partitions } = json as Stats
    const sum = (of: (partition: Stats['partitions'][number]) => number) =>
      partitions.reduce((all, one) => all + of(one), 0)
    const ledger = await receiver.rows()
    const files = parquetRows(exports)
    console.log(
      `${seconds} s: ${acknowledged.length} sends, ${ledger.length} rows; ${done.daemonKills} daemons and ${done.receiverKills} receivers killed, ` +
        `${done.compactions} compactions, ${done.prunes} prunes that took ${sum(({ pruned_rows }) => pruned_rows)} rows, ${sum(({ lost_rows }) => lost_rows)} lost (seed ${seed})`,
    )
    expect(sum(({ lost_rows }) => lost_rows)).toBe(0)
    for (const rows of [ledger, files]) {
      expect(new Set(rows.map(({ rowId }) => rowId)).size, 'no row left twice').toBe(rows.length)
      const sent = new Set(rows.map(({ key }) => key))
      expect(
        acknowledged.filter((key) => !sent.has(key)),
        'no row stayed behind',
      ).toEqual([])
    }
    expect(new Set(files.map(({ rowId }) => rowId)), 'both have the same').toEqual(
      new Set(ledger.map(({ rowId }) => rowId)),
    )
    expect(done.compactions).toBeGreaterThan(0)
  },
  60_000 + seconds * 4_000,
)

/** Does something again and again until it is told to end. Whoever is dead at the moment is asked again. */
async function repeat(signal: AbortSignal, act: (n: number) => Promise<unknown>, pauseMs = 5): Promise<void> {
  for (let n = 1; !signal.aborted; n += 1) {
    await act(n)
    await pause(pauseMs)
  }
}

/** The same, with what it comes to each time. */
function counting(
  signal: AbortSignal,
  { act, pauseMs }: { readonly act: () => Promise<number>; readonly pauseMs: number },
  count: (n: number) => void,
): Promise<void> {
  return repeat(signal, async () => count(await act()), pauseMs)
}

function isUpToDate({ acked, newest }: Sink['partitions'][number]): boolean {
  return acked === newest
}

/** @returns 1 when it was answered with success, 0 when not */
async function post(member: TestMember, path: string): Promise<number> {
  try {
    return (await member.request({ method: 'POST', path, body: {} })).status < 300 ? 1 : 0
  } catch {
    // Killed under the request.
    return 0
  }
}

async function isExported(member: TestMember): Promise<boolean> {
  for (const name of ['lake', 'collector']) await post(member, `/v1/sinks/${name}/run`)
  const { sinks } = (await member.request({ method: 'GET', path: '/v1/sinks' })).json as SinkList
  return (
    sinks.length === 2 && sinks.every((sink: Sink) => sink.partitions.length > 0 && sink.partitions.every(isUpToDate))
  )
}

function configure(home: string, { exports, url }: { readonly exports: string; readonly url: string }): void {
  const { directory, config } = daemonPaths(home, meshSlug)
  for (const path of [home, join(home, 'daemon'), directory]) ensurePrivateDirectory(path)
  if (!home.endsWith('alice')) return
  const lines = [
    '[history]',
    'bytes_max = 1048576',
    '[sinks.lake]',
    'datasets = ["messages"]',
    `destination = "file://${exports}"`,
    '[sinks.collector]',
    'datasets = ["messages"]',
    `destination = "${url}"`,
  ]
  writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 })
}

function parquetRows(directory: string): Row[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.parquet'))
    .flatMap((entry) => readIndependently(readFileSync(join(entry.parentPath, entry.name))))
    .map((row) => ({ rowId: String(row['row_id']), key: String(row['client_message_id']) }))
}

/** The receiver of the command line, killed and started over its ledger. */
class Receiver {
  readonly #args: readonly string[]
  readonly #port: number
  #process: ManagedProcess | null = null

  static async start(): Promise<Receiver> {
    const receiver = new Receiver(await findFreePort(), join(scratchDirectory(), 'ledger.db'))
    await receiver.restart()
    return receiver
  }

  private constructor(port: number, ledger: string) {
    this.#port = port
    this.#args = ['sink-server', '--ledger', ledger, '--port', String(port)]
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1/batches`
  }

  async restart(): Promise<void> {
    await this.#process?.kill()
    const started = new ManagedProcess([...this.#args], {})
    this.#process = started
    await eventually('the receiver listens', () => started.output.includes(String(this.#port)))
  }

  async rows(): Promise<Row[]> {
    const text = await (await fetch(`http://127.0.0.1:${this.#port}/v1/rows`)).text()
    await this.#process?.kill()
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as HistoryRow)
      .map(({ row_id, client_message_id }) => ({ rowId: row_id, key: String(client_message_id) }))
  }
}
