/**
 * A holder of a shared space that is killed between asking the broker and hearing from it (07 §8): what the broker took is decided,
 * what it did not is not, and the same intent is decided once. Nobody else has the decisions, so that only its own disk can tell.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { spaceNamed, start, startMesh } from './members-that-share.ts'

let started: Awaited<ReturnType<typeof startMesh<'ann' | 'bob'>>>
beforeAll(async () => {
  started = await startMesh(['ann', 'bob'])
}, 60_000)
afterAll(() => started.mesh.end())

const steps = [
  { step: 'daemon.decide.proposed', isDecided: false },
  { step: 'daemon.decide.appended', isDecided: true },
]

test.each(steps)(
  'killed at $step, it goes on with one line',
  async ({ step, isDecided }) => {
    const { ann, bob } = started.members
    const { share, decide, decideSurely, statusOf, agreeOn } = spaceNamed(step.replaceAll('.', '-'))
    await share(ann)
    await start(ann, { crashAt: step })
    await expect(decide(ann, 'one')).rejects.toThrow()
    expect(await ann.running.ended).toMatchObject({ signal: 'SIGKILL' })
    await start(ann)
    if (isDecided) await eventually('what the broker took is here', async () => (await statusOf(ann)).seq === 1)
    await decideSurely(ann, 'two')
    await decideSurely(ann, 'one')
    await share(bob)
    expect(await agreeOn([ann, bob], 2)).toEqual(isDecided ? ['ann/one', 'ann/two'] : ['ann/two', 'ann/one'])
  },
  60_000,
)
