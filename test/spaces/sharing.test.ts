/**
 * Members that share spaces (07 §4): one line of decisions for all of them, whoever decides and whoever is there. One mesh for all
 * of these, and a space for each.
 */
import { readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { git } from '../decisions/git-repository.ts'
import { eventually } from '../support/eventually.ts'
import { spaceNamed, start, startMesh, termMs } from './members-that-share.ts'

let started: Awaited<ReturnType<typeof startMesh<'ann' | 'bob' | 'cy'>>>
beforeAll(async () => {
  started = await startMesh(['ann', 'bob', 'cy'])
}, 60_000)
afterAll(() => started.mesh.end())

/** A space that all of them share, where nothing is decided. */
async function sharedSpace(name: string) {
  const space = spaceNamed(name)
  const { ann, bob, cy } = started.members
  for (const member of [ann, bob, cy]) await space.share(member)
  return { ...space, ann, bob, cy, everybody: [ann, bob, cy] }
}

describe('a space that members share', () => {
  test('has one line, whoever decides; what was answered can be read at once, and is no mail', async () => {
    const { ann, bob, cy, everybody, decide, statusOf, agreeOn } = await sharedSpace('line')
    for (const [place, member] of [ann, bob, cy, bob].entries()) {
      const answer = await decide(member, `key-${place}`)
      expect(answer.json).toMatchObject({ events: [{ seq: place + 1 }] })
      expect((await statusOf(member)).seq).toBe(place + 1)
    }
    expect((await decide(bob, 'key-1')).json, 'asked again').toMatchObject({ events: [{ seq: 2 }] })
    const late = await decide(cy, 'late', { expect_head: 1 })
    expect([late.status, late.json]).toEqual([409, expect.objectContaining({ code: 'head_moved' })])
    expect(await agreeOn(everybody, 4)).toEqual(['ann/key-0', 'bob/key-1', 'cy/key-2', 'bob/key-3'])
    expect((await statusOf(cy)).shared).toMatchObject({ holder_name: 'ann', is_own: false, head: 4 })
    expect([await ann.inbox(), await bob.inbox(), await cy.inbox()]).toEqual([[], [], []])
  }, 60_000)

  test('takes along what was decided before it was shared, and whoever follows it later', async () => {
    const { share, decide, agreeOn } = spaceNamed('before')
    const { ann, bob } = started.members
    await ann.request({ method: 'POST', path: '/v1/spaces', body: { space: 'before' } })
    await decide(ann, 'alone')
    await share(ann)
    await decide(ann, 'shared')
    await share(bob)
    expect(await agreeOn([ann, bob], 2)).toEqual(['ann/alone', 'ann/shared'])
    expect((await decide(bob, 'later')).json).toMatchObject({ events: [{ seq: 3 }] })
    await agreeOn([ann, bob], 3)
    const { cy } = started.members
    expect(cy.cli(['decision', 'create', 'before', '--shared'])).toContain('appends')
    await agreeOn([ann, bob, cy], 3)
    expect(cy.cli(['decision', 'show', 'before'])).toContain('ann appends')
  }, 60_000)

  test('is refused to a log that is another one, and nothing gets into either of them', async () => {
    const { share, decide, statusOf, agreeOn } = spaceNamed('two-logs')
    const { ann, bob } = started.members
    for (const member of [ann, bob]) {
      await member.request({ method: 'POST', path: '/v1/spaces', body: { space: 'two-logs' } })
      await decide(member, 'alone')
    }
    await share(ann)
    await decide(ann, 'shared')
    await share(bob)
    const answer = await decide(bob, 'mine')
    expect([answer.status, answer.json]).toEqual([409, expect.objectContaining({ code: 'space_diverged', seq: 1 })])
    expect((await statusOf(bob)).shared?.waits_for).toContain('another one here')
    expect([(await statusOf(ann)).seq, (await statusOf(bob)).seq]).toEqual([2, 1])
    // An operator puts the other log aside: what is shared comes, without a restart.
    git(bob.paths.spacesRepository, 'update-ref', 'refs/heads/aside', 'refs/heads/spaces/two-logs')
    git(bob.paths.spacesRepository, 'update-ref', '-d', 'refs/heads/spaces/two-logs')
    bob.cli(['decision', 'fsck', '--accept', 'two-logs'])
    await agreeOn([ann, bob], 2)
    expect((await decide(bob, 'mine')).json).toMatchObject({ events: [{ seq: 3 }] })
    expect((await statusOf(bob)).shared?.waits_for).toBe(null)
  }, 60_000)

  test('takes no decisions past its members: an import and a lease by hand are refused', async () => {
    const { ann, bob, decide, agreeOn } = await sharedSpace('closed')
    await decide(ann, 'one')
    const line = '{}\n'
    for (const [path, body] of [
      ['lease/release', {}],
      ['lease/acquire', { force: true }],
      ['import', line],
    ] as const) {
      const headers = { 'content-type': path === 'import' ? 'application/x-ndjson' : 'application/json' }
      const answer = await ann.request({ method: 'POST', path: `/v1/spaces/closed/${path}`, headers, body })
      expect([path, answer.json]).toEqual([path, expect.objectContaining({ code: 'space_shared' })])
    }
    await agreeOn([ann, bob], 1)
  }, 60_000)

  test('goes on with another holder when the one before is killed, and that one comes back to the same line', async () => {
    const { ann, bob, cy, everybody, decideSurely, agreeOn, holderOf } = await sharedSpace('killed')
    await decideSurely(ann, 'before')
    await agreeOn(everybody, 1)
    await ann.kill()
    await decideSurely(bob, 'without-ann')
    expect((await holderOf([bob, cy]))?.name).toBe('bob')
    await start(ann)
    await decideSurely(ann, 'again')
    expect(await agreeOn(everybody, 3)).toEqual(['ann/before', 'bob/without-ann', 'ann/again'])
  }, 60_000)

  test('is not appended to by a holder that slept past its lease: it has the next one do that', async () => {
    const { ann, bob, everybody, decide, decideSurely, agreeOn } = await sharedSpace('asleep')
    await decideSurely(ann, 'before')
    ann.running.signal('SIGSTOP')
    // Not a wait for something that will happen: the stop has to be longer than the lease.
    await pause(termMs)
    const asleep = decide(ann, 'asked-asleep')
    await decideSurely(bob, 'meanwhile')
    ann.running.signal('SIGCONT')
    expect((await asleep).json).toMatchObject({ events: [{ seq: 3 }] })
    expect(await agreeOn(everybody, 3)).toEqual(['ann/before', 'bob/meanwhile', 'ann/asked-asleep'])
  }, 60_000)

  test('gets what is missing in a damaged repository, once what can be read of it was recovered, from its members', async () => {
    const { ann, bob, cy, everybody, decideSurely, agreeOn } = await sharedSpace('recovered')
    for (const [place, member] of [ann, bob, ann].entries()) await decideSurely(member, `key-${place}`)
    const before = await agreeOn(everybody, 3)
    ann.cli(['daemon', 'stop'])
    await ann.running.ended
    const packs = join(ann.paths.spacesRepository, 'objects', 'pack')
    for (const name of readdirSync(packs)) truncateSync(join(packs, name), 10)
    expect(ann.run(['daemon', 'recover']).status).toBe(65)
    expect(ann.cli(['daemon', 'recover', '--confirm'])).toContain('spaces: damaged')
    await start(ann)
    await decideSurely(bob, 'meanwhile')
    expect(await agreeOn([ann, bob, cy], 4)).toEqual([...before, 'bob/meanwhile'])
  }, 60_000)

  test('waits for the broker: nothing is decided without it, and everything once when it is back', async () => {
    const { ann, bob, everybody, decide, decideSurely, statusOf, agreeOn } = await sharedSpace('waits')
    await decideSurely(ann, 'before')
    await started.mesh.broker.kill()
    const waiting = [decide(ann, 'holder'), decide(bob, 'follower')]
    await eventually('they say what they wait for', async () => (await statusOf(bob)).shared?.waits_for !== null)
    expect((await statusOf(ann)).seq).toBe(1)
    await started.mesh.broker.start()
    for (const answer of await Promise.all(waiting)) expect(answer.json).toMatchObject({ events: [expect.anything()] })
    const intents = await agreeOn(everybody, 3)
    expect(intents.toSorted()).toEqual(['ann/before', 'ann/holder', 'bob/follower'])
  }, 60_000)
})
