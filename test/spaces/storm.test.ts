/**
 * Members that decide at the same time while whoever holds the space is killed or stopped past its lease, and the broker is killed
 * (07 §8): one line without a gap, every acknowledged intent in it once, and everybody has the same commits.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freshDatabase } from '../support/postgres.ts'
import { seeded } from '../support/seed.ts'
import { spaceNamed, start, startMesh, termMs } from './members-that-share.ts'

/** `<decisions of each member>x<disturbances>`; the full size is 200x40. */
const size = process.env['CLAUDEMESH_TEST_SHARED_SPACES'] ?? '4x2'
const [decisions = 4, disturbances = 2] = size.split('x').map(Number)

const names = ['ann', 'bob', 'cy'] as const
const kinds = ['holder killed', 'holder stopped', 'broker killed'] as const
/** Longer than a lease and the allowance for clocks. */
const stoppedMs = termMs + 3_000

const engines: readonly { readonly name: string; readonly where: () => Promise<{ readonly databaseUrl?: string }> }[] =
  [
    { name: 'SQLite', where: async () => ({}) },
    { name: 'PostgreSQL', where: async () => ({ databaseUrl: await freshDatabase() }) },
  ]

test.each(engines)(
  `three members with ${decisions} decisions each and ${disturbances} disturbances are one line ($name)`,
  async ({ name, where }) => {
    const random = seeded()
    const { mesh, members } = await startMesh(names, await where())
    onTestFinished(() => mesh.end())
    const everybody = names.map((name) => members[name])
    const { share, decideSurely, holderOf, agreeOn } = spaceNamed('plans')
    for (const member of everybody) await share(member)
    const acknowledged: string[] = []
    const work = everybody.map(async (member) => {
      for (let n = 0; n < decisions; n += 1) {
        await decideSurely(member, `n${n}`)
        acknowledged.push(`${member.name}/n${n}`)
      }
    })
    const all = Promise.all(work)
    let isDone = false
    void all.finally(() => {
      isDone = true
    })

    const counts = new Map<string, number>()
    for (let n = 0; n < disturbances && !isDone; n += 1) {
      const before = acknowledged.length
      await eventually('decisions go on', () => isDone || acknowledged.length > before, { withinMs: 120_000 })
      const kind = kinds[(n + random.seed) % kinds.length] ?? 'holder killed'
      const holder = await holderOf(everybody)
      if (isDone || (holder === null && kind !== 'broker killed')) continue
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      if (kind === 'broker killed') await mesh.broker.kill().then(() => mesh.broker.start())
      else if (kind === 'holder killed' && holder !== null) await holder.kill().then(() => start(holder))
      else if (holder !== null) {
        holder.running.signal('SIGSTOP')
        // Not a wait for something that will happen: the stop has to be longer than the lease.
        await pause(stoppedMs)
        holder.running.signal('SIGCONT')
      }
    }
    await all
    const intents = await agreeOn(everybody, names.length * decisions)
    expect(new Set(intents).size).toBe(intents.length)
    expect([...intents].toSorted()).toEqual(acknowledged.toSorted())
    const told = [...counts].map(([kind, count]) => `${count} times ${kind}`).join(', ')
    console.log(
      `shared spaces over ${name}: ${intents.length} decisions by ${names.length} members, ${told}, seed ${random.seed}`,
    )
  },
  1_800_000,
)
