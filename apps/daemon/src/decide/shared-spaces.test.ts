import type { DecisionEvent } from '@claudemesh/decisions'
import { daemonPaths, type JsonObject, MeshError } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { draftOf, memberIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import type { InboxDraft } from '../inbox/inbox.ts'
import { Spaces } from '../spaces/spaces.ts'
import { Authority } from './authority.ts'
import { CatchUp } from './catch-up.ts'
import { Proposing } from './proposing.ts'
import { SharedSpace } from './shared-space.ts'
import { SharedSpaces } from './shared-spaces.ts'
import { SpaceClone } from './space-clone.ts'
import { Wakes } from './wakes.ts'

const selfId = memberIdOf('me')
const alice = memberIdOf('alice')

/** A member that shares the space `plans`, on real files, and that no broker answers. */
async function follower() {
  const runtime = new ManualRuntime()
  const log = silentLog()
  const paths = daemonPaths(scratchDirectory(), 'team')
  const config = { repository: null, objectFormat: 'sha1', leaseTermMs: 15_000 } as const
  const spaces = new Spaces({ paths, config, selfId, diskPressure: () => 'ok', runtime, log })
  await spaces.create('plans')
  const stopping = new AbortController()
  const sent: string[] = []
  const request = () => Promise.reject(new MeshError('broker_unavailable'))
  const open = (name: string) => {
    const wakes = new Wakes()
    const clone = new SpaceClone(name, spaces)
    const authority = new Authority({ space: name, request, termMs: 15_000, log })
    const send = async (memberId: string) => void sent.push(memberId)
    const { monotonicMs, random } = runtime
    const { signal } = stopping
    const catchUp = new CatchUp({ clone, request, send, wakes, selfId, monotonicMs, signal })
    const common = { clone, authority, wakes, selfId, bytesMax: () => 65_536, signal }
    const proposing = new Proposing({ ...common, transmit: async () => false })
    const nameOf = () => null
    return {
      space: new SharedSpace({ ...common, catchUp, proposing, send, nameOf, monotonicMs, random, log }),
      catchUp,
    }
  }
  const wants = (topic: string) => topic === 'space.plans'
  const topics = { wants, wanted: () => ['space.plans'], want: async () => undefined }
  const shared = new SharedSpaces({ spaces, topics, open, log })
  onTestFinished(async () => {
    stopping.abort()
    await shared.stop()
    await spaces.close()
  })
  const seq = async () => (await spaces.statusOf('plans')).seq
  return { shared, sent, seq }
}

const event: DecisionEvent = {
  ...{ space: 'plans', seq: 1, event_id: '01JD0000000000000000000001', intent_id: 'one', actor: alice },
  ...{ ts: '2026-01-01T00:00:00.000Z', kind: 'note', payload: { text: 'decided', refs: [] } },
}
const lineOf = (value: DecisionEvent) =>
  `{"actor":"${value.actor}","event_id":"${value.event_id}","intent_id":"one","kind":"note",` +
  `"payload":{"refs":[],"text":"decided"},"seq":${value.seq},"space":"plans","ts":"${value.ts}"}\n`

function mail(meta: JsonObject | null, body = '', topic?: string): InboxDraft {
  return { ...draftOf({ n: 1, ...(topic === undefined ? {} : { topic }) }), content: { opened: true, body, meta } }
}

const beginning = { $decision_events: { v: 1, space: 'plans', after: 0, after_id: null } }

test('what the broker took for the topic of the space is in the log', async () => {
  const { shared, seq } = await follower()
  await shared.take(mail(beginning, lineOf(event), 'space.plans'))
  await shared.take(mail(beginning, lineOf(event), 'space.plans'))
  expect(await seq()).toBe(1)
})

test('mail is not taken', async () => {
  const { shared } = await follower()
  expect(shared.take(mail({ $files: {} }, 'hello'))).toBeNull()
  expect(shared.take(mail(null, 'hello', 'news'))).toBeNull()
  expect(shared.take(draftOf({ n: 1, body: null }))).toBeNull()
})

const place = { v: 1, space: 'plans' }
/** Each is taken, and changes nothing. */
const hostile: Readonly<Record<string, InboxDraft>> = {
  'decisions that nobody asked for': mail(beginning, lineOf(event)),
  'decisions of another topic': mail(beginning, lineOf(event), 'space.others'),
  'decisions that leave a gap': mail(beginning, lineOf({ ...event, seq: 2 }), 'space.plans'),
  'a line that is no decision': mail(beginning, '{}\n', 'space.plans'),
  'a line that is not written as decisions are': mail(beginning, ` ${lineOf(event)}`, 'space.plans'),
  'text that is none': mail(beginning, '\u0000', 'space.plans'),
  'nothing of a known form': mail({ $decision_events: 7 }, '', 'space.plans'),
  'no meta': mail(null, '', 'space.plans'),
  'what cannot be opened': draftOf({ n: 1, body: null, topic: 'space.plans' }),
  'an intent of another epoch': mail({ $decision_intent: { ...place, epoch: 9, intent_id: 'i' } }, '[]'),
  'an intent that is no list': mail({ $decision_intent: { ...place, epoch: 1, intent_id: 'i' } }, '{"length":1}'),
  'an intent that is no JSON': mail({ $decision_intent: { ...place, epoch: 1, intent_id: 'i' } }, '['),
  'a refusal that nobody waits for': mail({ $decision_refusal: { ...place, intent_id: 'i' } }, '{}'),
  'a refusal that is null': mail({ $decision_refusal: { ...place, intent_id: 'i' } }, 'null'),
  'a question from beyond the end': mail({ $decision_request: { ...place, after: 7, after_id: null } }),
  'a question about another space': mail({
    $decision_request: { ...place, space: 'others', after: 0, after_id: null },
  }),
}
for (const [what, draft] of Object.entries(hostile)) {
  test(`${what}: taken, and nothing follows from it`, async () => {
    const { shared, sent, seq } = await follower()
    const taken = shared.take(draft)
    expect(taken).not.toBeNull()
    await taken
    expect([await seq(), sent]).toEqual([0, []])
  })
}
