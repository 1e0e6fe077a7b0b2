/**
 * Processes that append to one space while those that hold its lease are killed, or stopped past their term and resumed (07
 * §8): one line without gap or repetition, every acknowledged intent in it once, and everybody reads the same.
 */

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Child, startChild } from '../support/child.ts'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'
import { fsck, git, openLog, readIntents } from './git-repository.ts'

/** `<processes>x<appends of each>x<disturbances>`; the full size is 8x500x24. */
const size = process.env['CLAUDEMESH_TEST_SHARED_APPENDS'] ?? '4x200x4'
const [processes = 4, appends = 200, disturbances = 4] = size.split('x').map(Number)

const space = 'plans'
const termMs = 1_000
/** Longer than a term and the allowance for clocks. */
const stoppedMs = 4_500

interface Holder {
  readonly holder: string
  readonly epoch: number
}

/** The last lease, as its record says. */
function lastLease(path: string): Holder | null {
  try {
    return JSON.parse(git(path, 'cat-file', 'blob', `refs/claudemesh/leases/${space}`)) as Holder
  } catch {
    // Nobody has asked for one yet, or it was replaced in this moment.
    return null
  }
}

test(`${processes} processes with ${appends} appends each, their holder killed or stopped ${disturbances} times, are one line`, async () => {
  const random = seeded()
  const path = join(scratchDirectory(), 'decisions.git')
  await openLog(path)
  const acknowledged = new Set<string>()
  const start = (name: string): Child =>
    startChild('decisions/children/shared-appends.mjs', [path, space, name, String(appends), String(termMs)])
  const children = new Map(Array.from({ length: processes }, (_, n) => [`p${n}`, start(`p${n}`)]))
  const note = (child: Child) => {
    for (const line of child.lines) if (line.includes('/')) acknowledged.add(line.split(' ')[0] ?? '')
  }
  const isDone = () => [...children.values()].every(({ lines }) => lines.includes('appended'))

  const counts = { killed: 0, stopped: 0 }
  for (let n = 0; n < disturbances; n += 1) {
    const before = [...children.values()].reduce((sum, { lines }) => sum + lines.length, 0)
    const goesOn = () => [...children.values()].reduce((sum, { lines }) => sum + lines.length, 0) > before + processes
    await eventually('appends go on', () => goesOn() || isDone(), { withinMs: 120_000 })
    if (isDone()) break
    const lease = await eventually('somebody holds the lease', () => lastLease(path))
    const [name = ''] = lease.holder.split('.')
    const child = children.get(name)
    if (child?.process.pid === undefined || child.lines.includes('appended')) continue
    if (random.next() < 0.5) {
      child.process.kill('SIGKILL')
      await child.exited
      note(child)
      counts.killed += 1
      // It begins anew: whatever was acknowledged is repeated with the same intents.
      children.set(name, start(name))
    } else {
      child.process.kill('SIGSTOP')
      // Not a wait for something that will happen: the stop has to be longer than the lease.
      await pause(stoppedMs)
      child.process.kill('SIGCONT')
      counts.stopped += 1
    }
  }

  for (const [name, child] of children) {
    const ended = child.exited.then(({ code, stderr }) => {
      throw new Error(`${name} ended with ${code} before it had appended everything: ${stderr}`)
    })
    const appended = eventually(`${name} has appended everything`, () => child.lines.includes('appended'), {
      withinMs: 600_000,
    })
    // That it ends later is as it should be.
    ended.catch(() => undefined)
    await Promise.race([appended, ended])
  }
  for (const child of children.values()) {
    note(child)
    child.process.stdin?.write('\n')
  }
  const endings = await Promise.all([...children.values()].map(({ exited }) => exited))
  expect(endings.map(({ code, stderr }) => [code, stderr])).toEqual(endings.map(() => [0, '']))
  const digests = [...children.values()].map(({ lines }) => lines.at(-1))
  expect(digests[0]).toMatch(/^digest /)
  expect(new Set(digests).size).toBe(1)

  const intents = await readIntents(await openLog(path), space)
  const wanted = Array.from({ length: processes }, (_, p) =>
    Array.from({ length: appends }, (_unused, n) => `p${p}/${n}`),
  )
  expect([...intents].sort()).toEqual(wanted.flat().sort())
  expect([...acknowledged].filter((intent) => !intents.includes(intent))).toEqual([])
  expect(fsck(path)).toBe('')
  console.log(
    `shared appends: ${intents.length} by ${processes} processes, ${counts.killed} holders killed, ` +
      `${counts.stopped} stopped, ${lastLease(path)?.epoch} leases, seed ${random.seed}`,
  )
}, 1_800_000)
