/** The log of events and its views, over both engines (06 §5, §7). */
import type { Event } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../packages/artifacts/src/db/open-database.ts'
import type { Database, Tx } from '../../packages/artifacts/src/db/spi.ts'
import { chainDigest, chainStart, type NewEvent } from '../../packages/artifacts/src/events/event.ts'
import { EventLog } from '../../packages/artifacts/src/events/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { engines } from './engines.ts'

const nextId = createIdSource(Date.now)

interface Store {
  readonly database: Database
  readonly log: EventLog
  /** Milliseconds that the clock shows; it stands still. */
  clock: number
}

async function open(url: string, { tailsMax = 32 } = {}): Promise<Store> {
  const store = { clock: 1_000_000 } as { clock: number } & Partial<Store>
  const database = await openDatabase({ url, now: () => store.clock })
  const log = new EventLog({ database, now: () => store.clock, tailsMax })
  onTestFinished(async () => {
    await log.close()
    await database.close()
  })
  return Object.assign(store, { database, log }) as Store
}

function created(packageId: string, metadata: Record<string, string> = {}): NewEvent {
  return {
    event_type: 'v1.package.created',
    subject_kind: 'package',
    subject_id: packageId,
    actor: 'local',
    payload: {
      package_id: packageId,
      name: 'a package',
      producer: 'a test',
      subject: null,
      retention_class: 'transient',
      artifact_type: 'application/vnd.claudemesh.artifact.v1',
      path_policy: 'portable',
      metadata,
      metadata_schema: null,
      annotations: {},
      provenance: {},
    },
  }
}

const aborted = (packageId: string): NewEvent => ({
  event_type: 'v1.package.aborted',
  subject_kind: 'package',
  subject_id: packageId,
  actor: 'local',
  payload: { package_id: packageId, reason: null },
})

const write = (store: Store, ...events: NewEvent[]) => store.log.submit({ run: (tx) => store.log.write(tx, events) })

async function eventsOf(store: Store, count: number): Promise<Event[]> {
  const events: Event[] = []
  for await (const event of store.log.tail(0)) {
    events.push(event)
    if (events.length === count) break
  }
  return events
}

for (const { name, freshUrl } of engines) {
  describe(`the log of events (${name})`, () => {
    test('numbers events from 1, ties each to those before it, and never lets time go back', async () => {
      const store = await open(await freshUrl())
      await write(store, created(nextId()))
      store.clock -= 5_000
      await write(store, created(nextId()), created(nextId()))
      const events = await eventsOf(store, 3)
      expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3])
      expect(events.map(({ created_at }) => created_at)).toEqual([1_000_000, 1_000_000, 1_000_000])
      let chain = chainStart
      for (const event of events) {
        chain = chainDigest(chain, event)
        expect(Buffer.from(event.chain_digest)).toEqual(Buffer.from(chain))
      }
    })

    test('a change that fails gives its numbers back and leaves nothing, and those that share its commit are kept', async () => {
      const store = await open(await freshUrl())
      const fails = (tx: Tx) =>
        store.log.write(tx, [created(nextId())]).then(() => {
          throw new Error('after the event was written')
        })
      const kept = nextId()
      const outcomes = await Promise.allSettled([
        store.log.submit({ run: fails }),
        write(store, created(kept)),
        store.log.submit({ run: fails }),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
      await expect(store.log.submit({ run: fails })).rejects.toThrow('after the event was written')
      await write(store, aborted(kept))
      expect((await eventsOf(store, 2)).map(({ sequence, subject_id }) => [sequence, subject_id])).toEqual([
        [1, kept],
        [2, kept],
      ])
      expect(await store.log.checkViews()).toMatchObject({ agree: true, applied: 2, last_sequence: 2 })
    })

    test('two open stores that race leave no gap and lose no event, and a follower sees all of them in order', async () => {
      const url = await freshUrl()
      const stores = [await open(url), await open(url)]
      const [first] = stores as [Store]
      const seen = eventsOf(first, 60)
      await Promise.all(Array.from({ length: 60 }, (_, index) => write(stores[index % 2] as Store, created(nextId()))))
      expect((await seen).map(({ sequence }) => sequence)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1))
      expect(await first.log.checkViews()).toMatchObject({ agree: true, last_sequence: 60 })
    })

    test('rows of the log are never changed', async () => {
      const store = await open(await freshUrl())
      await write(store, created(nextId()))
      const statements = ['UPDATE events SET actor = actor', 'DELETE FROM events']
      if (name === 'PostgreSQL') statements.push('TRUNCATE artifacts.events')
      for (const statement of statements) {
        await expect(store.database.write((tx) => tx.execute(statement))).rejects.toThrow('never changed')
      }
    })
  })

  describe(`following the log (${name})`, () => {
    test('begins where it is told, gives what is wanted, and ends at once when it is told to', async () => {
      const store = await open(await freshUrl())
      const ids = [nextId(), nextId()] as const
      await write(store, created(ids[0]), created(ids[1]), aborted(ids[0]), aborted(ids[1]))
      const stop = new AbortController()
      const seen: number[] = []
      const subject = { kind: 'package', id: ids[1] }
      const following = (async () => {
        for await (const event of store.log.tail(1, { subject, signal: stop.signal })) seen.push(event.sequence)
      })()
      await eventually('both events are seen', () => seen.length === 2)
      stop.abort()
      await following
      expect(seen).toEqual([2, 4])
      const types = ['v1.package.aborted']
      for await (const event of store.log.tail(0, { types })) {
        expect(event.sequence).toBe(3)
        break
      }
    })

    test('a cursor beyond the end waits, and one that is none is refused', async () => {
      const store = await open(await freshUrl())
      await write(store, created(nextId()))
      const following = store.log.tail(2)[Symbol.asyncIterator]()
      const next = following.next()
      await write(store, created(nextId()))
      await write(store, created(nextId()))
      expect((await next).value).toMatchObject({ sequence: 3 })
      // While it waits for an event that does not come.
      const waiting = following.next()
      await following.return?.()
      expect(await waiting).toMatchObject({ done: true })
      for (const since of [-1, 1.5, Number.NaN]) {
        await expect(store.log.tail(since).next()).rejects.toMatchObject({ code: 'invalid_cursor' })
      }
    })

    test('a missing number ends it with log_gap, and only so many may follow', async () => {
      const store = await open(await freshUrl(), { tailsMax: 1 })
      await write(store, created(nextId()), created(nextId()), created(nextId()))
      await store.database.write(async (tx) => {
        const remove =
          name === 'SQLite'
            ? ['DROP TRIGGER events_are_not_deleted', 'DELETE FROM events WHERE sequence = 2']
            : ['ALTER TABLE events DISABLE TRIGGER USER', 'DELETE FROM events WHERE sequence = 2']
        for (const statement of remove) await tx.execute(statement)
      })
      await expect(store.log.tail(0).next()).rejects.toMatchObject({ code: 'log_gap', data: { sequence: 2 } })
      const tail = store.log.tail(2)
      await tail.next()
      await expect(store.log.tail(2).next()).rejects.toMatchObject({ code: 'too_many_requests' })
      await tail.return?.()
    })
  })

  describe(`views (${name})`, () => {
    test('are computed anew byte for byte, and as of every earlier event', async () => {
      const store = await open(await freshUrl())
      const digests: string[] = []
      const ids = Array.from({ length: 8 }, () => nextId())
      for (const id of ids) {
        await write(store, created(id, { grüße: id, __proto__: 'own' }))
        digests.push(await store.log.viewStateDigest())
      }
      await write(store, aborted(ids[3] as string))
      const before = await store.log.viewStateDigest()
      expect(await store.log.replay()).toMatchObject({ applied: 9, unknown: 0, last_sequence: 9 })
      expect(await store.log.viewStateDigest()).toBe(before)
      for (const [index, digest] of digests.entries()) {
        expect(await store.log.replay({ upTo: index + 1 })).toMatchObject({ view_state_digest: digest })
      }
      expect(await store.log.viewStateDigest(), 'a replay up to an event leaves the views alone').toBe(before)
    })

    test('that somebody has changed are found, and a replay mends them', async () => {
      const store = await open(await freshUrl())
      await write(store, created(nextId()))
      const before = await store.log.viewStateDigest()
      await store.database.write((tx) => tx.execute(`UPDATE artifact_packages SET name = 'forged'`))
      expect(await store.log.checkViews()).toMatchObject({ agree: false })
      await store.log.replay()
      expect(await store.log.viewStateDigest()).toBe(before)
    })

    test('a log that was changed is log_corrupt with the first bad event, and the views stay', async () => {
      const store = await open(await freshUrl())
      const ids = [nextId(), nextId(), nextId()]
      await write(store, ...ids.map((id) => created(id)))
      const before = await store.log.viewStateDigest()
      await store.database.write(async (tx) => {
        await tx.execute(
          name === 'SQLite' ? 'DROP TRIGGER events_are_not_changed' : 'ALTER TABLE events DISABLE TRIGGER USER',
        )
        await tx.execute(`UPDATE events SET actor = 'somebody' WHERE sequence = 2`)
      })
      await expect(store.log.replay()).rejects.toMatchObject({ code: 'log_corrupt', data: { sequence: 2 } })
      expect(await store.log.viewStateDigest()).toBe(before)
    })

    test('events of types that are not known change nothing and are counted', async () => {
      const store = await open(await freshUrl())
      await write(store, created(nextId()))
      const before = await store.log.viewStateDigest()
      await write(store, { ...aborted(nextId()), event_type: 'v9.moon.landed' })
      expect(await store.log.viewStateDigest()).toBe(before)
      expect(await store.log.replay()).toMatchObject({ applied: 1, unknown: 1, last_sequence: 2 })
    })

    test('take no row that refers to none, also when they were just computed anew', async () => {
      const store = await open(await freshUrl())
      const stray: NewEvent = {
        ...created('nowhere'),
        event_type: 'v1.storage.location_added',
        payload: {
          package_id: 'nowhere',
          file_id: 'nowhere',
          storage_location_id: 'l',
          backend_id: 'local',
          object_key: 'k',
          content_address: 'blake3:0',
          size_bytes: 1,
          stored_at: 1,
          retrieval_tier: 'hot',
        },
      }
      await write(store, created('p'))
      await expect(write(store, stray)).rejects.toThrow()
      await store.log.replay()
      await expect(write(store, stray)).rejects.toThrow()
      expect((await eventsOf(store, 1)).map(({ subject_id }) => subject_id)).toEqual(['p'])
    })

    test('writers go on while they are computed anew, and nothing of theirs is missing', async () => {
      const store = await open(await freshUrl())
      for (let batch = 0; batch < 10; batch += 1)
        await write(store, ...Array.from({ length: 50 }, () => created(nextId())))
      const writing = (async () => {
        for (let count = 0; count < 20; count += 1) await write(store, created(nextId()))
      })()
      await Promise.all([writing, store.log.replay()])
      expect(await store.log.checkViews()).toMatchObject({ agree: true, last_sequence: 520 })
    })
  })
}

test('equal logs give equal bytes on both engines', async () => {
  const ids = Array.from({ length: 5 }, () => nextId())
  const states = await Promise.all(
    engines.map(async ({ freshUrl }) => {
      const store = await open(await freshUrl())
      for (const id of ids) await write(store, created(id, { ключ: 'ß', z: '1', aa: '2' }))
      await write(store, aborted(ids[0] as string))
      const items: string[] = []
      for await (const item of store.log.dump()) items.push(Buffer.from(item).toString('hex'))
      return { items, digest: await store.log.viewStateDigest(), last: (await eventsOf(store, 6)).at(-1)?.chain_digest }
    }),
  )
  expect(states[0]?.items.length).toBe(6 + 5)
  expect(states[0]).toEqual(states[1])
})
