/** A space that is open in several places: whoever asks is told everything that was acknowledged (07 §5). */
import { join } from 'node:path'
import {
  type DecisionDraft,
  encodeSnapshot,
  fold,
  type GitDecisionLog,
  openSpace,
  type Space,
} from '@claudemesh/decisions'
import { expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { git } from './git-repository.ts'

const set = (key: string, value: string | null): DecisionDraft => ({
  kind: 'state',
  actor: 'a',
  payload: { key, value },
})

async function open(repository?: string): Promise<Space> {
  const space = await openSpace({ space: 'plans', ...(repository === undefined ? {} : { repository }) })
  onTestFinished(() => space.close())
  return space
}

test('a space in which nothing was decided has an empty state', async () => {
  for (const space of [await open(), await open(join(scratchDirectory(), 'decisions.git'))]) {
    expect(await space.state()).toEqual(fold([]))
    expect(await space.get('a')).toBe(null)
    await expect(space.stateAt(0)).rejects.toMatchObject({ code: 'space_unknown' })
  }
})

test('what one has decided the other one reads, and both have the same bytes', async () => {
  const repository = join(scratchDirectory(), 'decisions.git')
  const [one, two] = [await open(repository), await open(repository)]
  for (let round = 0; round < 5; round += 1) {
    await one.decide([set('a', `one-${round}`)])
    expect(await two.get('a')).toBe(`one-${round}`)
    await two.decide([set('a', `two-${round}`)])
    expect(await one.get('a')).toBe(`two-${round}`)
  }
  await one.decide([set('a', null)])
  expect(await two.get('a')).toBe(null)
  const [first, second] = await Promise.all([one.state(), two.state()])
  expect(encodeSnapshot(first).equals(encodeSnapshot(second))).toBe(true)
  expect(encodeSnapshot(await one.stateAt(11)).equals(encodeSnapshot(first))).toBe(true)
})

test('questions that are asked at once are each answered with what was acknowledged before', async () => {
  const space = await open()
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      await space.decide([set(`k${index}`, 'v')])
      return space.get(`k${index}`)
    }),
  )
  expect(new Set(answers)).toEqual(new Set(['v']))
  expect((await space.state()).seq).toBe(20)
})

test('a space in memory goes into git by its export, and is the same there', async () => {
  const [memory, kept] = [await open(), await open(join(scratchDirectory(), 'decisions.git'))]
  await memory.decide([set('a', '1'), set('b', '2')])
  expect(await kept.import(memory.export())).toEqual({ appended: 2, present: 0 })
  expect(encodeSnapshot(await kept.state()).equals(encodeSnapshot(await memory.state()))).toBe(true)
})

test('a fold begins anew when another history was accepted', async () => {
  const repository = join(scratchDirectory(), 'decisions.git')
  const space = await open(repository)
  for (const key of ['a', 'b', 'c']) await space.decide([set(key, 'v')])
  expect(Object.keys((await space.state()).state)).toEqual(['a', 'b', 'c'])
  git(repository, 'update-ref', 'refs/heads/spaces/plans', 'refs/heads/spaces/plans~2')
  await expect(space.state()).rejects.toMatchObject({ code: 'history_rewritten' })
  await (space.log as GitDecisionLog).acceptHistory('plans')
  await space.decide([set('d', 'v')])
  await space.decide([set('e', 'v')])
  expect(Object.keys((await space.state()).state)).toEqual(['a', 'd', 'e'])
})
