/** Spaces that repositories share (07 §4): what is proposed in one, and applied in the others. */
import { join } from 'node:path'
import type { DecisionEvent, GitDecisionLog, Place } from '@claudemesh/decisions'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, openLog, readIntents } from './git-repository.ts'

const space = 'plans'
const bytesMax = 10_000
const beginning: Place = { after: 0, afterId: null }
const term = { socket: null, termMs: 3_600_000 }

async function member(name: string, path = join(scratchDirectory(), 'decisions.git')) {
  const log = await openLog(path)
  const lease = await log.leases.acquire(space, { holder: name, ...term })
  const propose = (...intents: readonly string[]) =>
    log.proposals.propose(space, intents.map(noted), { lease, bytesMax })
  return { log, lease, path, propose, intents: () => readIntents(log, space) }
}

const noted = (intentId: string) => ({
  drafts: [{ kind: 'note' as const, actor: 'ann', payload: { text: intentId, refs: [] } }],
  o: { intentId },
})

/** What was proposed and accepted. */
async function decide({ log, lease, propose }: Awaited<ReturnType<typeof member>>, ...intents: readonly string[]) {
  const { proposal } = await propose(...intents)
  if (proposal === null) throw new Error('nothing is new')
  await log.proposals.accept(proposal, lease)
  return proposal
}

const lastOf = (events: readonly DecisionEvent[]) => {
  const last = events.at(-1)
  return last === undefined ? beginning : { after: last.seq, afterId: last.event_id }
}

describe('a proposal', () => {
  test('is in the log once it was accepted, and not before', async () => {
    const ann = await member('ann')
    const { proposal, outcomes } = await ann.propose('a', 'b')
    expect(outcomes.map(({ kind }) => kind)).toEqual(['drawn', 'drawn'])
    expect(await ann.intents()).toEqual([])
    if (proposal !== null) await ann.log.proposals.accept(proposal, ann.lease)
    expect(await ann.intents()).toEqual(['a', 'b'])
    expect(await ann.log.proposals.find(space, ann.lease)).toBeNull()
  })

  test('that is dropped was never there: its intents are new', async () => {
    const ann = await member('ann')
    await ann.propose('a')
    await ann.log.proposals.drop(space, ann.lease)
    expect(await ann.log.proposals.find(space, ann.lease)).toBeNull()
    await decide(ann, 'b', 'a')
    expect(await ann.intents()).toEqual(['b', 'a'])
    expect(fsck(ann.path)).toBe('')
  })

  test('answers an intent that was decided with what it made then, and refuses it for something else', async () => {
    const ann = await member('ann')
    const { events } = await decide(ann, 'a')
    const other = { ...noted('b'), o: { intentId: 'a' } }
    const { proposal, outcomes } = await ann.log.proposals.propose(space, [noted('a'), other, noted('c')], {
      lease: ann.lease,
      bytesMax,
    })
    expect(outcomes[0]).toEqual({ kind: 'repeated', events })
    expect(outcomes[1]).toMatchObject({ kind: 'refused', error: { code: 'intent_reused' } })
    expect(proposal?.events.map(({ seq }) => seq)).toEqual([2])
  })

  test('has room for so many bytes: what is too large is refused, and what comes after is left', async () => {
    const ann = await member('ann')
    const o = { lease: ann.lease, bytesMax: 400 }
    const large = noted('x'.repeat(250))
    const { proposal, outcomes } = await ann.log.proposals.propose(
      space,
      [large, noted('a'), noted('b'), noted('c')],
      o,
    )
    expect(outcomes.map(({ kind }) => kind)).toEqual(['refused', 'drawn', 'drawn', 'left'])
    expect(outcomes[0]).toMatchObject({ error: { code: 'decision_too_large' } })
    expect(proposal?.events.map(({ intent_id: intent }) => intent)).toEqual(['a', 'b'])
  })

  test('keeps nobody from reading, and does not get into what is appended past it', async () => {
    const ann = await member('ann')
    await decide(ann, 'a')
    const { proposal } = await ann.propose('b')
    await ann.log.append(space, noted('c').drafts, { intentId: 'c', lease: ann.lease })
    expect(await ann.intents()).toEqual(['a', 'c'])
    if (proposal === null) throw new Error('b is new')
    await expect(ann.log.proposals.accept(proposal, ann.lease)).rejects.toMatchObject({ code: 'space_busy' })
    expect(await ann.log.proposals.find(space, ann.lease)).toBeNull()
    await decide(ann, 'd')
    expect(await ann.intents()).toEqual(['a', 'c', 'd'])
  })

  test('of whoever lost the lease of the repository is not made, and not accepted', async () => {
    const ann = await member('ann')
    const { proposal } = await ann.propose('a')
    await ann.log.leases.release(ann.lease)
    await member('bob', ann.path)
    await expect(ann.propose('b')).rejects.toMatchObject({ code: 'lease_lost' })
    if (proposal === null) throw new Error('a is new')
    await expect(ann.log.proposals.accept(proposal, ann.lease)).rejects.toMatchObject({ code: 'lease_lost' })
    expect(await ann.intents()).toEqual([])
  })

  const steps = [
    // The lease, then the first proposal, then its acceptance.
    { point: 'decisions.ref.synced:2', found: ['a', 'b'], decided: [] },
    { point: 'decisions.ref.renamed:3', found: null, decided: ['a', 'b'] },
    { point: 'decisions.pack.synced:3', found: null, decided: ['a', 'b'] },
    { point: 'decisions.ref.renamed:4', found: ['c', 'd'], decided: ['a', 'b'] },
  ]
  test.each(steps)('of a process that is killed at $point is found again, or is over', async (step) => {
    const path = join(scratchDirectory(), 'decisions.git')
    const environment = { CLAUDEMESH_CRASH_AT: step.point }
    const child = startChild('decisions/children/propose.mjs', [path, space], { environment })
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    const again = await member('one', path)
    expect(await again.intents()).toEqual(step.decided)
    const found = await again.log.proposals.find(space, again.lease)
    expect(found?.events.map(({ intent_id: intent }) => intent) ?? null).toEqual(step.found)
    if (found !== null) await again.log.proposals.accept(found, again.lease)
    expect(await again.intents()).toEqual([...step.decided, ...(step.found ?? [])])
    expect(fsck(path)).toBe('')
  })
})

describe('what was decided elsewhere', () => {
  const apply = ({ log, lease }: { log: GitDecisionLog; lease: Awaited<ReturnType<typeof member>>['lease'] }) => {
    return (events: readonly DecisionEvent[], place = beginning) => log.proposals.apply(space, place, { events, lease })
  }

  test('is the same here, commit by commit, however often it is told', async () => {
    const [ann, bob] = [await member('ann'), await member('bob')]
    const { events: first } = await decide(ann, 'a', 'b')
    const { events: second } = await decide(ann, 'c')
    expect(await apply(bob)(first)).toBe(true)
    expect(await apply(bob)(first)).toBe(true)
    expect(await apply(bob)([...first, ...second])).toBe(true)
    expect(await apply(bob)(second, lastOf(first))).toBe(true)
    expect(await bob.log.head(space)).toEqual(await ann.log.head(space))
  })

  test('waits for what is before it', async () => {
    const [ann, bob] = [await member('ann'), await member('bob')]
    const { events: first } = await decide(ann, 'a')
    const { events: second } = await decide(ann, 'b')
    expect(await apply(bob)(second, lastOf(first))).toBe(false)
    expect(await bob.intents()).toEqual([])
    await apply(bob)(first)
    expect(await apply(bob)(second, lastOf(first))).toBe(true)
  })

  test('is refused where something else was decided, at its place or before it', async () => {
    const [ann, bob] = [await member('ann'), await member('bob')]
    const { events: ours } = await decide(ann, 'a', 'b')
    const { events: theirs } = await decide(bob, 'a')
    await expect(apply(bob)(ours)).rejects.toMatchObject({ code: 'space_diverged', data: { seq: 1 } })
    const [, second] = ours
    if (second === undefined) throw new Error('two were decided')
    await expect(apply(bob)([second], lastOf(ours.slice(0, 1)))).rejects.toMatchObject({ code: 'space_diverged' })
    expect(await bob.log.head(space)).toMatchObject({ seq: 1 })
    expect(theirs).toHaveLength(1)
  })

  test('is refused when it is no line, and nothing of it is taken', async () => {
    const [ann, bob] = [await member('ann'), await member('bob')]
    const { events } = await decide(ann, 'a', 'b', 'c')
    const gap = events.filter(({ seq }) => seq !== 2)
    await expect(apply(bob)(gap)).rejects.toMatchObject({ code: 'import_out_of_order' })
    expect(await bob.intents()).toEqual([])
    expect(await apply(bob)(events)).toBe(true)
  })
})
