import { expect, test } from 'vitest'
import { MemorySeats } from '../store/sqlite/memory-seats.ts'
import { Presence } from './presence.ts'

const member = { meshId: 'm', memberId: 'a' }
const seat = { ...member, connectionId: 'c1' }
const request = { ...seat, instanceId: 'i1', policy: 'prefer_newest' } as const

/** One node over seats that can fail, or give it up for dead. */
function makeNode() {
  const seats = new MemorySeats({ listPresent: () => [], recordPresence: async () => undefined }, () => 0)
  const faults = { storage: false, dead: false }
  const told: string[] = []
  const reported: unknown[] = []
  let lastId = 0
  const failing = <T>(run: () => Promise<T>): Promise<T> =>
    faults.storage ? Promise.reject(new Error('no storage')) : run()
  const presence = new Presence({
    seats: {
      beginNode: ({ nodeId }) =>
        failing(async () => {
          told.push(`begins ${nodeId}`)
          return { alone: true }
        }),
      beat: () => failing(async () => !faults.dead),
      endNode: () => failing(() => seats.endNode()),
      take: (taken) => failing(() => seats.take(taken)),
      open: (opened, now) => failing(() => seats.open(opened, now)),
      leave: (left, now) => failing(() => seats.leave(left, now)),
      listEnded: async () => [{ ...seat, connectionId: 'lost', ending: 'replaced_by_newer_connection' }],
      listWaiting: async () => [member],
      listSeated: (members) => seats.listSeated(members),
      freeDead: () => seats.freeDead(),
      endAbsences: (options) => seats.endAbsences(options),
    },
    runtime: {
      now: () => 7,
      nextId: () => {
        lastId += 1
        return `node-${lastId}`
      },
    },
    deadAfterMs: 15_000,
    arrived: ({ memberId }, at) => told.push(`${memberId} arrived at ${at}`),
    end: ({ connectionId }) => told.push(`end ${connectionId}`),
    endAll: () => told.push('end all'),
    wake: ({ memberId }) => told.push(`wake ${memberId}`),
    report: (error) => reported.push(error),
  })
  return { presence, seats, faults, told, reported }
}

test('a member arrives with its first open connection and not with the next', async () => {
  const { presence, told } = makeNode()
  await presence.take(request)
  expect(told).toEqual([])
  await presence.opened(seat)
  await presence.take({ ...request, connectionId: 'c2' })
  await presence.opened({ ...seat, connectionId: 'c2' })
  expect(told).toEqual(['a arrived at 7'])
})

test('a seat that could not be given back is given back at a later beat', async () => {
  const { presence, seats, faults, reported } = makeNode()
  await presence.take(request)
  await presence.opened(seat)
  faults.storage = true
  presence.left(seat)
  await expect(presence.beat()).rejects.toThrow('no storage')
  expect([reported.length, await seats.listSeated([member])]).toEqual([1, [member]])
  faults.storage = false
  await presence.beat()
  expect(await seats.listSeated([member])).toEqual([])
})

test('an arrival that could not be recorded is told when it is', async () => {
  const { presence, faults, told, reported } = makeNode()
  await presence.take(request)
  faults.storage = true
  await presence.opened(seat)
  expect([told, reported.length]).toEqual([[], 1])
  faults.storage = false
  await presence.beat()
  expect(told[0]).toBe('a arrived at 7')
})

test('every beat looks for what other nodes may have told in vain', async () => {
  const { presence, told } = makeNode()
  await presence.beat()
  expect(told).toEqual(['end lost', 'wake a'])
})

test('a node that was given up ends its connections and goes on under a new name', async () => {
  const { presence, faults, told } = makeNode()
  await presence.begin()
  faults.dead = true
  await presence.beat()
  expect(told.slice(0, 3)).toEqual(['begins node-1', 'begins node-2', 'end all'])
})
