/** Logs of decisions in git, against git alone: what it takes to write the same commits, and to read the same objects. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type DecisionDraft,
  type DecisionEvent,
  encodeEvent,
  foldLog,
  GitDecisionLog,
  openSpace,
} from '@claudemesh/decisions'
import type { Benchmark, Contest, Sample } from './benchmark.ts'

const callers = 64
const appends = 2048
const appendsAlone = 50
/** A snapshot is made of no fewer. */
const shortEvents = 1_500
/** Pack, index, their directory, the ref and its directory. */
const syncsOfAppend = 5
const actor = 'ada'

export const decisions: Benchmark = {
  name: 'decisions',
  limit:
    'git fast-import of the same commits, core.fsync=all; the fsyncs alone; git cat-file --batch of the same objects',
  size: { unit: 'events', whenAlone: 100_000, inWholeRun: 10_000 },
  rounds: 3,
  figures: [
    {
      name: 'append, 64 callers',
      about: 'decisions appended / commits imported by git, as many in a batch',
      target: { atLeast: 0.5 },
    },
    {
      name: 'append, 1 caller',
      about: `decisions appended / times that ${syncsOfAppend} files are synced`,
      target: { atLeast: 1 / 3 },
    },
    {
      name: 'read and fold',
      about: 'events of a log read, checked and folded / commits and events read by git and thrown away',
      target: { atLeast: 0.5 },
    },
    {
      name: 'open',
      about: 'time to open that log, tell its end and a value / the same of a log of 1,500',
      target: { atMost: 2 },
    },
  ],
  prepare,
}

async function prepare(events: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const [read, short] = [join(directory, 'read.git'), join(directory, 'short.git')]
  await makeLog(read, events)
  await makeLog(short, shortEvents)
  const names = git(read, 'rev-list', '--reverse', 'spaces/plans').split('\n')
  const objects = names.map((name) => `${name}\n${name}:event.json\n`).join('')
  const message = git(read, 'log', '-1', '--format=%B', 'spaces/plans')
  let made = 0
  const fresh = () => join(directory, `${made++}`)
  return {
    subject: (): Promise<Sample> =>
      using(fresh(), async (log) => ({
        'append, 64 callers': await rate(appends, () => appendTogether(log)),
        'append, 1 caller': await rate(appendsAlone, async () => {
          for (let index = 0; index < appendsAlone; index += 1) await decide(log, { space: 'alone', index })
        }),
        'read and fold': await rate(events, () => using(read, (reader) => foldLog(reader.events('plans')))),
        open: await openingMs(read),
      })),
    limit: async (): Promise<Sample> => ({
      'append, 64 callers': await rate(appends, () => importWithGit(fresh(), message)),
      'append, 1 caller': await rate(appendsAlone, () => syncFiles(fresh())),
      'read and fold': await rate(events, () =>
        finished(spawn('git', ['cat-file', '--batch'], { cwd: read, stdio: ['pipe', 'ignore', 'inherit'] }), objects),
      ),
      open: await openingMs(short),
    }),
    close: () => rmSync(directory, { recursive: true }),
  }
}

async function rate(count: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (count * 1000) / (performance.now() - started)
}

/** As it is once somebody has read and asked it. */
async function makeLog(path: string, events: number): Promise<void> {
  await using(path, (log) => log.importEvents('plans', generate(events)))
  await openingMs(path)
}

async function openingMs(repository: string): Promise<number> {
  const started = performance.now()
  const space = await openSpace({ space: 'plans', repository })
  await space.log.head('plans')
  await space.get('key-1')
  const ms = performance.now() - started
  await space.close()
  return ms
}

async function using<T>(path: string, work: (log: GitDecisionLog) => Promise<T>): Promise<T> {
  const log = await GitDecisionLog.open({ path })
  try {
    return await work(log)
  } finally {
    log.close()
  }
}

function draft(index: number): DecisionDraft {
  return {
    kind: 'state',
    actor,
    payload: { key: `key-${index % 1000}`, value: { number: index, text: 'a few words' } },
  }
}

async function* generate(count: number): AsyncGenerator<DecisionEvent> {
  for (let seq = 1; seq <= count; seq += 1) yield eventAt(seq)
}

function eventAt(seq: number): DecisionEvent {
  const event_id = `01K0000000000000${String(seq).padStart(10, '0')}`
  const ts = new Date(Date.UTC(2026, 0, 1) + seq).toISOString()
  return { space: 'plans', seq, event_id, intent_id: `intent-${seq}`, ts, ...draft(seq) } as DecisionEvent
}

async function decide(log: GitDecisionLog, o: { readonly space: string; readonly index: number }): Promise<void> {
  await log.append(o.space, [draft(o.index)], { intentId: `intent-${o.index}` })
}

async function appendTogether(log: GitDecisionLog): Promise<void> {
  let next = 0
  const work = async () => {
    for (let index = next++; index < appends; index = next++) await decide(log, { space: 'together', index })
  }
  await Promise.all(Array.from({ length: callers }, work))
}

/** As many commits as `appendTogether` makes, durable after each batch. */
async function importWithGit(path: string, message: string): Promise<void> {
  git(tmpdir(), 'init', '--quiet', '--bare', path)
  const settings = ['-c', 'core.fsync=all', '-c', 'fastimport.unpackLimit=0']
  const parts: string[] = []
  for (let seq = 1; seq <= appends; seq += 1) {
    const event = eventAt(seq)
    const time = `${Math.floor(Date.parse(event.ts) / 1000)} +0000`
    const content = encodeEvent(event).toString()
    parts.push(`commit refs/heads/spaces/plans\nauthor ${actor} <> ${time}\ncommitter claudemesh <> ${time}\n`)
    parts.push(`data ${Buffer.byteLength(message)}\n${message}\n`)
    parts.push(`M 100644 inline event.json\ndata ${Buffer.byteLength(content)}\n${content}\n`)
    if (seq % callers === 0) parts.push('checkpoint\n\n')
  }
  const child = spawn('git', [...settings, 'fast-import', '--quiet'], {
    cwd: path,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  await finished(child, parts.join(''))
}

async function syncFiles(stem: string): Promise<void> {
  for (let index = 0; index < appendsAlone; index += 1) {
    for (let file = 0; file < syncsOfAppend; file += 1) {
      const handle = await open(`${stem}-${index}-${file}`, 'wx')
      await handle.write('an index or a pack of about so many bytes'.repeat(10))
      await handle.sync()
      await handle.close()
    }
  }
}

function finished(child: ChildProcess, input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`git ended with ${code}`))))
    child.stdin?.end(input)
  })
}

function git(directory: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: directory, encoding: 'utf8', maxBuffer: 2 ** 30 })
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}
