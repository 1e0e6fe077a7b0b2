/** A daemon that is killed while it decides: what it acknowledged is there, once, and is told of once. */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DecisionList } from '@claudemesh/protocol/spaces'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { foundHomeAt } from '../support/home-files.ts'
import { findFreePort, meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'
import { fsck } from './git-repository.ts'

describe('a daemon killed', { timeout: 60_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let told: EventLog
  const acknowledged: string[] = []

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cm-'))
    mkdirSync(join(directory, 'alice'), { mode: 0o700 })
    foundHomeAt(join(directory, 'alice'), { slug: meshSlug })
    mesh = TestMesh.at(directory, ['alice'], { port: await findFreePort() })
    alice = mesh.member('alice')
    told = new EventLog(alice, 'decision')
    await alice.start()
    const body = { space: 'plans' }
    expect((await alice.request({ method: 'POST', path: '/v1/spaces', body })).status).toBe(201)
  }, 60_000)
  afterAll(() => mesh.end())

  const decide = async (intent: string) => {
    const body = { decisions: [{ kind: 'note', payload: { text: intent, refs: [] } }] }
    const headers = { 'idempotency-key': intent }
    const answer = await alice.request({ method: 'POST', path: '/v1/spaces/plans/events', headers, body })
    expect(answer.status).toBe(201)
    acknowledged.push(intent)
    return answer.json
  }
  const log = async () => {
    const page = await alice.request({ method: 'GET', path: '/v1/spaces/plans/events?limit=1000' })
    return (page.json as DecisionList).events
  }
  const expectOnce = async () => {
    const events = await log()
    expect(events.map(({ intent_id }) => intent_id)).toEqual(acknowledged)
    await told.follow(async () => {
      await eventually('each is told of', () => told.seen.length >= events.length)
    })
    expect(told.seen.map(({ intent_id }) => intent_id)).toEqual(acknowledged)
    expect(fsck(join(alice.paths.spaces, 'decisions.git'))).toBe('')
  }

  test.each([
    'decisions.pack.written',
    'decisions.pack.synced',
    'decisions.ref.renamed',
    'decisions.ref.synced',
    'daemon.decision.announced',
  ])('at %s keeps what it acknowledged, and decides the same intent once', async (crashAt) => {
    await decide(`before ${crashAt}`.replaceAll(' ', '-'))
    // The lease is there: what comes next is the append.
    await alice.start({ crashAt })
    const intent = `at ${crashAt}`.replaceAll(' ', '-')
    await decide(intent).catch(() => undefined)
    expect(await alice.running.ended).toMatchObject({ signal: 'SIGKILL' })
    await alice.start()
    if (!acknowledged.includes(intent)) await decide(intent)
    await expectOnce()
  })
})
