import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Leases } from './leases.ts'

const member = { meshId: 'm', memberId: 'a' }
const other = { meshId: 'm', memberId: 'b' }

function makeLeases() {
  let now = 1_000
  const leases = new Leases(() => now)
  const take = (connectionId: string, ...deliveryIds: number[]) =>
    leases.take(member, { deliveryIds, connectionId, leaseMs: 100 })
  return {
    leases,
    take,
    advance: (ms: number) => {
      now += ms
    },
  }
}

test('the frontier stands at the last lease, and goes back to what is given back', () => {
  const { leases, take } = makeLeases()
  take('one', 1, 2, 3)
  take('two', 4, 5)
  expect([leases.frontier(member), leases.isLeased(member, 5), leases.isLeased(member, 6)]).toEqual([5, true, false])
  leases.release(member, 'one')
  expect([leases.frontier(member), leases.isLeased(member, 1), leases.isLeased(member, 4)]).toEqual([0, false, true])
})

test('a lease is over at its time', () => {
  const { leases, take, advance } = makeLeases()
  take('one', 7)
  advance(50)
  take('one', 8)
  advance(49)
  expect(leases.frontier(member)).toBe(8)
  advance(1)
  expect([leases.frontier(member), leases.isLeased(member, 7), leases.isLeased(member, 8)]).toEqual([6, false, true])
})

test('members do not share, and a member without a lease begins at the beginning', () => {
  const { leases, take } = makeLeases()
  take('one', 7)
  expect([leases.frontier(other), leases.isLeased(other, 7)]).toEqual([0, false])
  leases.end(member, 7)
  expect(leases.frontier(member)).toBe(0)
})

test('whatever happens, an id at or below the frontier is leased or was ended, and no id is leased twice', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('claim'), connection: fc.constantFrom('x', 'y'), count: fc.nat(3) }),
    fc.record({ kind: fc.constant('end'), index: fc.nat(20) }),
    fc.record({ kind: fc.constant('release'), connection: fc.constantFrom('x', 'y') }),
    fc.record({ kind: fc.constant('wait'), ms: fc.nat(80) }),
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const { leases, take, advance } = makeLeases()
      // The queue: ids 1 to 20, as long as they have not been acknowledged.
      const queue = new Set(Array.from({ length: 20 }, (_, n) => n + 1))
      for (const each of actions) {
        if (each.kind === 'claim' && 'count' in each) {
          const frontier = leases.frontier(member)
          for (const id of queue) if (id <= frontier) expect(leases.isLeased(member, id)).toBe(true)
          const free = [...queue].filter((id) => id > frontier && !leases.isLeased(member, id))
          take(each.connection, ...free.slice(0, each.count))
        } else if (each.kind === 'end' && 'index' in each) {
          queue.delete(each.index)
          leases.end(member, each.index)
        } else if (each.kind === 'release' && 'connection' in each) {
          leases.release(member, each.connection)
        } else if ('ms' in each) {
          advance(each.ms)
        }
      }
      advance(1_000)
      const frontier = leases.frontier(member)
      for (const id of queue) expect(id > frontier && !leases.isLeased(member, id)).toBe(true)
    }),
  )
})
