import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Destination, MeshError } from '@claudemesh/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { memberIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { countingLog } from '../../../../test/support/silent-log.ts'
import {
  consumersLookMs,
  consumersWaitMs,
  recipientAsksMax,
  recipientsAbsentMs,
  recipientsRetryMs,
  recipientsWaitMs,
} from '../limits.ts'
import type { RecipientSet } from '../members/recipient-sets.ts'
import { Recipients, type RecipientsOptions } from './recipients.ts'
import { SkippedRecipients } from './skipped-recipients.ts'

const dmTo = (name: string): Destination => ({ kind: 'dm', ref: memberIdOf(name) })
const builds: Destination = { kind: 'topic', ref: 'builds' }
const jobs: Destination = { kind: 'queue', ref: 'jobs' }
const asked = { kind: 'asked', waitMs: recipientsWaitMs }

/** The members that the mesh has, as a broker and a directory know them: what differs is what has not been read yet. */
class Mesh {
  readonly runtime = new ManualRuntime()
  readonly log = countingLog()
  readonly answered: string[] = []
  readonly requests: string[] = []
  readonly listed = new Map<string, 'active' | 'revoked'>()
  readonly known = new Map<string, 'active' | 'revoked'>()
  readonly sets = new Map<string, RecipientSet>()
  subscribers: readonly string[] = []
  epoch = 1
  /** What the broker answers instead. */
  fault: MeshError | null = null
  /** Called when the broker has been asked, before it answers. */
  onAsked: () => void = () => undefined
  refreshes = 0
  readonly skipped = new SkippedRecipients(this.log.log)
  readonly recipients = new Recipients({
    members: {
      findById: (memberId) => {
        const status = this.known.get(memberId)
        return status === undefined ? null : { memberId, boxKey: `key of ${memberId}`, status }
      },
      recipientSets: {
        find: ({ ref }) => this.sets.get(ref) ?? null,
        save: ({ ref }, set) => this.sets.set(ref, set),
        drop: ({ ref }) => this.sets.delete(ref),
      },
    },
    request: (async (op: string, params: { topic: string } | { queue: string }) => {
      this.requests.push(`${op} ${'topic' in params ? params.topic : params.queue}`)
      const answer = { recipients_epoch: this.epoch, members: this.subscribers.map(memberIdOf) }
      this.onAsked()
      await nextTurn()
      if (this.fault !== null) throw this.fault
      return answer
    }) as unknown as RecipientsOptions['request'],
    refreshDirectory: async () => {
      this.refreshes += 1
      await nextTurn()
      if (this.fault !== null) throw this.fault
      for (const [memberId, status] of this.listed) this.known.set(memberId, status)
    },
    onAnswered: ({ kind, ref }) => this.answered.push(`${kind} ${ref}`),
    skipped: this.skipped,
    runtime: this.runtime,
    log: this.log.log,
  })

  list(name: string, status: 'active' | 'revoked' = 'active'): void {
    this.listed.set(memberIdOf(name), status)
  }

  know(name: string, status: 'active' | 'revoked' = 'active'): void {
    this.list(name, status)
    this.known.set(memberIdOf(name), status)
  }

  /** The names that a topic is sealed for, and the epoch. */
  sealedFor(destination: Destination, names: readonly string[]): [string[], number | null] | null {
    const found = this.recipients.lookUp(destination)
    if (found.kind !== 'known') return null
    const ids = found.members.map((member) => member.memberId)
    return [names.filter((name) => ids.includes(memberIdOf(name))), found.epoch]
  }
}

const settle = async () => {
  for (let turn = 0; turn < 10; turn += 1) await nextTurn()
}

let mesh: Mesh
beforeEach(() => {
  mesh = new Mesh()
})

describe('a member', () => {
  test('who is known is sealed for at once, and nobody is asked', () => {
    mesh.know('bob')
    expect(mesh.recipients.lookUp(dmTo('bob'))).toMatchObject({
      kind: 'known',
      members: [{ memberId: memberIdOf('bob'), boxKey: `key of ${memberIdOf('bob')}` }],
      epoch: null,
    })
    expect(mesh.refreshes).toBe(0)
  })

  test('who is not known is looked for once, whoever wants it, and then told of', async () => {
    mesh.list('bob')
    expect(mesh.recipients.lookUp(dmTo('bob'))).toEqual(asked)
    expect(mesh.recipients.lookUp(dmTo('bob'))).toEqual(asked)
    await settle()
    expect([mesh.refreshes, mesh.answered]).toEqual([1, [`dm ${memberIdOf('bob')}`]])
    expect(mesh.recipients.lookUp(dmTo('bob'))).toMatchObject({ kind: 'known' })
  })

  test('whom a fresh directory does not have is unknown, until that is no longer fresh', async () => {
    mesh.recipients.lookUp(dmTo('nobody'))
    await settle()
    expect(mesh.answered).toHaveLength(1)
    expect(mesh.recipients.lookUp(dmTo('nobody'))).toMatchObject({
      kind: 'refused',
      reason: expect.stringMatching(/^recipient_unknown: /),
    })
    mesh.runtime.advance(recipientsAbsentMs)
    expect(mesh.recipients.lookUp(dmTo('nobody'))).toEqual(asked)
  })

  test('who is revoked is refused', () => {
    mesh.know('bob', 'revoked')
    expect(mesh.recipients.lookUp(dmTo('bob'))).toMatchObject({ reason: expect.stringMatching(/^member_revoked: /) })
  })

  test('whom nobody could be asked about is not unknown', async () => {
    mesh.fault = new MeshError('broker_unavailable')
    mesh.recipients.lookUp(dmTo('bob'))
    await settle()
    expect(mesh.answered).toEqual([])
    expect(mesh.recipients.lookUp(dmTo('bob'))).toEqual({ kind: 'asked', waitMs: recipientsRetryMs })
    expect(mesh.refreshes).toBe(1)
    mesh.runtime.advance(recipientsRetryMs)
    expect(mesh.recipients.lookUp(dmTo('bob'))).toEqual(asked)
    expect(mesh.refreshes).toBe(2)
    await settle()
  })

  test('is asked about again at once on the next connection', async () => {
    mesh.fault = new MeshError('broker_unavailable')
    mesh.recipients.lookUp(dmTo('bob'))
    await settle()
    mesh.fault = null
    mesh.recipients.linkOpened()
    expect(mesh.answered).toEqual([`dm ${memberIdOf('bob')}`])
    expect(mesh.recipients.lookUp(dmTo('bob'))).toEqual(asked)
    await settle()
  })
})

describe('a topic', () => {
  beforeEach(() => {
    for (const name of ['bob', 'carol']) mesh.know(name)
    mesh.subscribers = ['bob', 'carol']
  })

  test('is asked for once and then known, with its epoch', async () => {
    mesh.epoch = 7
    expect(mesh.recipients.lookUp(builds)).toEqual(asked)
    expect(mesh.recipients.lookUp(builds)).toEqual(asked)
    await settle()
    expect(mesh.answered).toEqual(['topic builds'])
    expect(mesh.sealedFor(builds, ['bob', 'carol'])).toEqual([['bob', 'carol'], 7])
    expect(mesh.requests).toEqual(['topics.recipients builds'])
  })

  test('is asked for again when its subscribers changed', async () => {
    mesh.recipients.lookUp(builds)
    await settle()
    mesh.recipients.drop(builds)
    mesh.subscribers = ['carol']
    mesh.epoch = 2
    expect(mesh.recipients.lookUp(builds)).toEqual(asked)
    await settle()
    expect(mesh.sealedFor(builds, ['bob', 'carol'])).toEqual([['carol'], 2])
  })

  test('whose subscribers change while they are read is read again', async () => {
    let left = 1
    mesh.onAsked = () => {
      if (left === 0) return
      left -= 1
      mesh.subscribers = ['bob']
      mesh.epoch += 1
      mesh.recipients.drop(builds)
    }
    mesh.recipients.lookUp(builds)
    await settle()
    expect(mesh.requests).toHaveLength(2)
    expect(mesh.sealedFor(builds, ['bob', 'carol'])).toEqual([['bob'], 2])
  })

  test('that never stands still is sealed for as it was read last: the broker refuses what is stale', async () => {
    mesh.onAsked = () => mesh.recipients.drop(builds)
    mesh.recipients.lookUp(builds)
    await settle()
    expect(mesh.requests).toHaveLength(4)
    expect(mesh.recipients.lookUp(builds)).toMatchObject({ kind: 'known' })
  })

  test('is sealed for a subscriber who is new here after the directory was read', async () => {
    mesh.list('dave')
    mesh.subscribers = ['bob', 'dave']
    mesh.recipients.lookUp(builds)
    await settle()
    expect(mesh.refreshes).toBe(1)
    expect(mesh.sealedFor(builds, ['bob', 'dave'])).toEqual([['bob', 'dave'], 1])
  })

  test('is not sealed for who cannot be verified, which is said once, nor for who is revoked', async () => {
    mesh.know('carol', 'revoked')
    mesh.subscribers = ['bob', 'carol', 'mallory']
    mesh.recipients.lookUp(builds)
    await settle()
    for (let times = 0; times < 3; times += 1) {
      expect(mesh.sealedFor(builds, ['bob', 'carol', 'mallory'])).toEqual([['bob'], 1])
    }
    expect(mesh.skipped).toMatchObject({ members: 1, totals: { unverifiable: 3, key_unusable: 0 } })
    expect(mesh.log.lines.filter((line) => line === 'recipient_skipped')).toHaveLength(1)
  })

  test('does not have the directory read for each reading with the same stranger in it', async () => {
    mesh.subscribers = ['mallory']
    for (let times = 0; times < 3; times += 1) {
      mesh.recipients.lookUp(builds)
      await settle()
      mesh.recipients.drop(builds)
    }
    expect([mesh.requests.length, mesh.refreshes]).toEqual([3, 1])
  })

  const finals = ['topic_unknown', 'too_many_recipients'] as const
  for (const code of finals) {
    test(`of which the broker says ${code} refuses, until it is said to have changed`, async () => {
      mesh.fault = new MeshError(code)
      mesh.recipients.lookUp(builds)
      await settle()
      expect(mesh.answered).toEqual(['topic builds'])
      expect(mesh.recipients.lookUp(builds)).toMatchObject({
        kind: 'refused',
        reason: expect.stringMatching(new RegExp(`^${code}: `)),
      })
      mesh.recipients.drop(builds)
      expect(mesh.recipients.lookUp(builds)).toEqual(asked)
      await settle()
    })
  }
})

test('more destinations than are asked for at once wait for a little while', async () => {
  const names = Array.from({ length: recipientAsksMax + 1 }, (_, n) => `member ${n}`)
  const waits = names.map((name) => mesh.recipients.lookUp(dmTo(name)))
  expect(waits.slice(0, -1).every((found) => found.kind === 'asked' && found.waitMs === recipientsWaitMs)).toBe(true)
  expect(waits.at(-1)).toEqual({ kind: 'asked', waitMs: recipientsRetryMs })
  await settle()
})

describe('a work queue', () => {
  test('is sealed for its consumers, as of their epoch, until the broker says that they have changed', async () => {
    mesh.know('ann')
    mesh.know('ben')
    mesh.subscribers = ['ann', 'ben']
    expect(mesh.recipients.lookUp(jobs)).toEqual(asked)
    await settle()
    expect(mesh.answered).toEqual(['queue jobs'])
    expect(mesh.sealedFor(jobs, ['ann', 'ben', 'carol'])).toEqual([['ann', 'ben'], 1])
    expect(mesh.requests).toEqual(['queues.recipients jobs'])
    mesh.subscribers = ['ben']
    mesh.epoch = 2
    mesh.recipients.drop(jobs)
    expect(mesh.recipients.lookUp(jobs)).toEqual(asked)
    await settle()
    expect(mesh.sealedFor(jobs, ['ann', 'ben'])).toEqual([['ben'], 2])
  })

  const unconsumed: readonly (readonly [string, () => void, RegExp])[] = [
    [
      'that nobody ever consumed',
      () => {
        mesh.fault = new MeshError('queue_unknown')
      },
      /^queue_without_consumers: .*queue:jobs$/,
    ],
    ['whose consumers have left', () => undefined, /^queue_without_consumers: .*queue:jobs$/],
    [
      'none of whose consumers can be verified',
      () => {
        mesh.subscribers = ['mallory']
      },
      /^queue_without_consumers: .*verified: queue:jobs$/,
    ],
    [
      'of a broker that has none',
      () => {
        mesh.fault = new MeshError('not_found')
      },
      /^destination_unsupported: /,
    ],
  ]
  for (const [name, arrange, reason] of unconsumed) {
    test(`${name} makes what is sent to it wait, and says why`, async () => {
      arrange()
      expect(mesh.recipients.lookUp(jobs)).toEqual(asked)
      await settle()
      expect(mesh.answered).toEqual(['queue jobs'])
      expect(mesh.recipients.lookUp(jobs)).toEqual({
        kind: 'nobody',
        waitMs: consumersLookMs,
        reason: expect.stringMatching(reason),
      })
    })
  }

  test('is looked at again by one row at a time, and all are woken when it has a consumer', async () => {
    mesh.recipients.lookUp(jobs)
    await settle()
    expect(mesh.recipients.lookUp(jobs)).toMatchObject({ kind: 'nobody', waitMs: consumersLookMs })
    await settle()
    for (let row = 0; row < 100; row += 1) {
      expect(mesh.recipients.lookUp(jobs)).toMatchObject({ kind: 'nobody', waitMs: consumersWaitMs })
    }
    expect([mesh.requests.length, mesh.answered.length]).toEqual([2, 1])
    mesh.know('ann')
    mesh.subscribers = ['ann']
    mesh.runtime.advance(consumersLookMs)
    expect(mesh.recipients.lookUp(jobs)).toMatchObject({ kind: 'nobody', waitMs: consumersLookMs })
    await settle()
    expect([mesh.requests.length, mesh.answered.length]).toEqual([3, 2])
    expect(mesh.sealedFor(jobs, ['ann'])).toEqual([['ann'], 1])
  })
})
