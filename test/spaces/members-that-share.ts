/** Members of a mesh that share a space: real daemons and a real broker, and what a test asks them for. */
import { spawnSync } from 'node:child_process'
import type { SpaceView } from '@claudemesh/protocol/spaces'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import type { HttpAnswer } from '../support/http-over-socket.ts'
import { type MeshOptions, type StartOptions, type TestMember, TestMesh } from '../support/mesh.ts'

/** A lease ends soon, so that a test does not have to wait for it; with the allowance for clocks after twice that. */
export const termMs = 1_000
const shortTerm = { CLAUDEMESH_SPACES_LEASE_TERM: String(termMs / 1_000) }

/** A mesh whose members run, and share nothing yet. */
export async function startMesh<Name extends string>(names: readonly Name[], o: Pick<MeshOptions, 'databaseUrl'> = {}) {
  const mesh = await TestMesh.start(names, { ...o, startMembers: false })
  await Promise.all(mesh.members.map((member) => start(member)))
  await Promise.all(mesh.members.map((member) => member.knows(names)))
  const members = Object.fromEntries(names.map((name) => [name, mesh.member(name)])) as Record<Name, TestMember>
  return { mesh, members }
}

export function start(member: TestMember, o: StartOptions = {}): Promise<void> {
  return member.start({ ...o, env: { ...shortTerm, ...o.env } })
}

/** What a test does with one space. */
export function spaceNamed(space: string) {
  async function share(member: TestMember): Promise<SpaceView> {
    const answer = await member.request({ method: 'POST', path: '/v1/spaces', body: { space, shared: true } })
    expect(answer.json).toMatchObject({ space, shared: expect.anything() })
    return answer.json as SpaceView
  }

  /** One attempt to decide something; the intent is the member's name and the key. */
  function decide(member: TestMember, key: string, more: Readonly<Record<string, unknown>> = {}) {
    return member.request({
      method: 'POST',
      path: `/v1/spaces/${space}/events`,
      headers: { 'idempotency-key': `${member.name}/${key}` },
      body: { decisions: [{ kind: 'state', payload: { key, value: key } }], ...more },
    })
  }

  /** As a caller does who wants it decided: again and again, with the same intent. */
  async function decideSurely(member: TestMember, key: string): Promise<void> {
    await eventually(
      `${member.name} decides ${key}`,
      async () => {
        const answer: HttpAnswer | null = await decide(member, key).catch(() => null)
        if (answer !== null && answer.status >= 400 && answer.status < 500) throw new Error(answer.text)
        return answer?.status === 200 || answer?.status === 201
      },
      { withinMs: 300_000 },
    )
  }

  async function statusOf(member: TestMember): Promise<SpaceView> {
    return (await member.request({ method: 'GET', path: `/v1/spaces/${space}` })).json as SpaceView
  }

  /** The member that holds the space as one of them knows it. */
  async function holderOf(members: readonly TestMember[]): Promise<TestMember | null> {
    for (const member of members) {
      const holder = (await statusOf(member).catch(() => null))?.shared?.holder_name
      const found = members.find(({ name }) => name === holder)
      if (found !== undefined) return found
    }
    return null
  }

  /** Waits until all of them have so many decisions, which then are the same commits. @returns the intents, in order */
  async function agreeOn(members: readonly TestMember[], seq: number): Promise<readonly string[]> {
    await eventually(
      `${seq} decisions are everywhere`,
      async () => (await Promise.all(members.map(statusOf))).every((status) => status.seq >= seq),
      { withinMs: 60_000 },
    )
    const views = await Promise.all(members.map(statusOf))
    expect(views.map((view) => [view.seq, view.head])).toEqual(views.map(() => [seq, views[0]?.head]))
    const logs = await Promise.all(members.map(intentsOf))
    for (const log of logs) expect(log).toEqual(logs[0])
    for (const { paths } of members) {
      // The pack of a lease that was renewed goes, perhaps while git looks for it: then it is looked again.
      await eventually('git finds nothing wrong', () => {
        const { status, stderr } = spawnSync('git', ['fsck', '--strict', '--no-dangling'], {
          cwd: paths.spacesRepository,
        })
        return status === 0 && !String(stderr).includes('error')
      })
    }
    return logs[0] ?? []
  }

  async function intentsOf(member: TestMember): Promise<readonly string[]> {
    const answer = await member.request({ method: 'GET', path: `/v1/spaces/${space}/events?limit=1000` })
    const { events } = answer.json as { events: { seq: number; intent_id: string }[] }
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, place) => place + 1))
    return events.map(({ intent_id: intent }) => intent)
  }
  return { share, decide, decideSurely, statusOf, holderOf, agreeOn }
}
