/** Thousands of members that are connected to one broker and have nothing to say; and all of them coming back at once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findFreePort, TestBroker } from '../test/support/mesh.ts'
import { type Benchmark, type Contest, quantile, type Sample } from './benchmark.ts'
import { Fleet, type FleetReport } from './fleet.ts'
import { forkReady } from './load.ts'
import { processorMs, residentBytes } from './process-figures.ts'

export const members: Benchmark = {
  name: 'members',
  rounds: 1,
  size: { unit: 'connections', whenAlone: 10_000, inWholeRun: 2_000 },
  limit:
    'what an operator pays for members that have nothing to say: a connection of the operating system and its state',
  figures: [
    {
      name: 'members memory',
      about: 'memory of the broker for each idle connection, after a minute',
      unit: 'KiB',
      target: { atMost: 25 },
    },
    {
      name: 'members rest',
      about: 'processor of the broker for all idle connections, keep-alive included',
      unit: '%',
      target: { atMost: 2 },
    },
    {
      name: 'members back',
      about: 'most hellos in one second after the broker was killed / mean until all are back',
      target: { atMost: 4 },
    },
  ],
  prepare,
}

/** The interval at which a daemon pings. */
const restMs = 20_000
/** For what the handshakes left behind to be collected, and for one round of pings to have gone by. */
const settleMs = 20_000
const sealedBytes = 1_700

async function prepare(count: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-'))
  const broker = new TestBroker(join(directory, 'broker'), await findFreePort())
  const notes = new Notes()
  const begun = performance.now()
  const fleet = await Fleet.start(`${broker.url}/v1/ws`, count)
  notes.add(`${fleet.members} members of ${fleet.meshes} meshes, keys made in ${secondsSince(begun)} s`)
  const close = async () => {
    fleet.close()
    await broker.kill()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const registered = performance.now()
    // The broker makes its directory and its database.
    await broker.start()
    await broker.kill()
    await fleet.register(join(broker.data, 'broker.db'))
    notes.add(`registered in ${secondsSince(registered)} s`)
  } catch (error) {
    await close()
    throw error
  }
  return {
    subject: () => measure(broker, fleet, notes),
    limit: () => ({ 'members memory': 1, 'members rest': 1, 'members back': 1 }),
    notes: () => notes.lines,
    close,
  }
}

async function measure(broker: TestBroker, fleet: Fleet, notes: Notes): Promise<Sample> {
  await broker.start()
  await pause(8_000)
  const alone = residentBytes(broker.running.pid)
  const memory = await connectAll(broker, fleet, notes)
  const rest = await atRest(broker.running.pid)
  notes.add(`${rest.toFixed(2)} % of a processor at rest`)
  const perMember = (residentBytes(broker.running.pid) - alone) / fleet.members / 1024
  notes.add(
    `broker alone ${mebibytes(alone)} MiB, with them ${mebibytes(memory)} MiB, after ${restMs / 1000} s of rest ${mebibytes(residentBytes(broker.running.pid))} MiB`,
  )
  await fanOut(broker, fleet, notes)
  const back = await comeBack(broker, fleet, notes)
  fleet.close()
  await broker.kill()
  await measureBare(fleet.members, notes)
  return { 'members memory': perMember, 'members rest': rest, 'members back': back }
}

/** What a server of the same library takes that does nothing but answer the pings of as many connections. */
async function measureBare(count: number, notes: Notes): Promise<void> {
  const port = await findFreePort()
  const server = await forkReady('bare-pongs', [String(port)])
  const pid = server.pid ?? 0
  const alone = residentBytes(pid)
  const clients = await forkReady('bare-pings', [`ws://127.0.0.1:${port}`, String(count)])
  const rest = await atRest(pid)
  const each = (residentBytes(pid) - alone) / count / 1024
  notes.add(`a server that only answers their pings: ${rest.toFixed(2)} % at rest, ${each.toFixed(1)} KiB each`)
  clients.kill()
  server.kill()
}

async function connectAll(broker: TestBroker, fleet: Fleet, notes: Notes): Promise<number> {
  const { pid } = broker.running
  const begun = performance.now()
  const before = processorMs(pid)
  await fleet.run({ kind: 'connect', perSecond: 150 })
  const { failed, failures } = await fleet.allOpen()
  const each = (processorMs(pid) - before) / fleet.members
  notes.add(
    `connected in ${secondsSince(begun)} s, ${each.toFixed(2)} ms of processor time of the broker each, ${failed.length} attempts failed: ${JSON.stringify(failures)}`,
  )
  await pause(settleMs)
  return residentBytes(pid)
}

async function atRest(pid: number): Promise<number> {
  const before = processorMs(pid)
  await pause(restMs)
  return (100 * (processorMs(pid) - before)) / restMs
}

/** One message to each mesh, at once: every member but the senders gets one. */
async function fanOut(broker: TestBroker, fleet: Fleet, notes: Notes): Promise<void> {
  const { pid } = broker.running
  const times: number[] = []
  const spent: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const before = processorMs(pid)
    const sentAt = Date.now()
    await fleet.run({ kind: 'post', sealedBytes })
    const expected = fleet.members - fleet.meshes
    const { delivered } = await fleet.until(`${expected} deliveries`, (report) => report.delivered.length >= expected)
    times.push(delivered.reduce((last, at) => Math.max(last, at), 0) - sentAt)
    await pause(500)
    spent.push(Math.round(processorMs(pid) - before))
  }
  notes.add(
    `one message to each mesh is with all members after ${times.join(', ')} ms, ${spent.join(', ')} ms of the broker`,
  )
}

async function comeBack(broker: TestBroker, fleet: Fleet, notes: Notes): Promise<number> {
  await fleet.run({ kind: 'report' })
  await broker.kill()
  const killedAt = Date.now()
  await broker.start()
  const upAt = Date.now()
  const report = await fleet.allOpen()
  const { pid } = broker.running
  const each = processorMs(pid) / fleet.members
  return describeReturn(report, { upAt, killedAt, each, notes })
}

function describeReturn(
  { opened, failed, failures }: FleetReport,
  o: { readonly upAt: number; readonly killedAt: number; readonly each: number; readonly notes: Notes },
): number {
  const after = opened.map((at) => at - o.upAt).sort((a, b) => a - b)
  const [half, most, nearly, all] = [0.5, 0.9, 0.99, 1].map((share) => quantile(after, share) / 1000)
  const perSecond = new Map<number, number>()
  for (const ms of after) perSecond.set(Math.floor(ms / 1000), (perSecond.get(Math.floor(ms / 1000)) ?? 0) + 1)
  const peak = Math.max(...perSecond.values())
  const mean = opened.length / (all ?? 1)
  o.notes.add(
    `broker away for ${o.upAt - o.killedAt} ms; back: half after ${half} s, 90 % ${most} s, 99 % ${nearly} s, all ${all} s`,
    `most in a second ${peak}, mean ${mean.toFixed(0)}; ${o.each.toFixed(2)} ms of the broker each, start included`,
    `attempts that failed after it was up: ${failed.filter((at) => at > o.upAt).length}, before: ${failed.filter((at) => at <= o.upAt).length}; ${JSON.stringify(failures)}`,
    `by second: ${[...perSecond]
      .sort(([a], [b]) => a - b)
      .map(([, n]) => n)
      .join(' ')}`,
  )
  return peak / mean
}

/** It takes minutes: what is known so far is told at once. */
class Notes {
  readonly lines: string[] = []

  add(...lines: readonly string[]): void {
    for (const line of lines) console.error(line)
    this.lines.push(...lines)
  }
}

function secondsSince(begun: number): string {
  return ((performance.now() - begun) / 1000).toFixed(1)
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1)
}
