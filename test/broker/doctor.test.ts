/** What the broker's doctor and its job find: every kind of inconsistency that they claim to check, and nothing else. */
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { examineBroker } from '../../apps/broker/src/doctor.ts'
import { orphanCheck } from '../../apps/broker/src/jobs/orphan-check.ts'
import { createMetrics } from '../../apps/broker/src/metrics.ts'
import {
  type InconsistencyName,
  inconsistencies,
} from '../../apps/broker/src/store/inspection/inconsistencies/statements.ts'
import { type TableName, tables } from '../../apps/broker/src/store/inspection/tables.ts'
import type { InspectionPosition, InspectionStep } from '../../apps/broker/src/store/inspection.ts'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import { type Engine, engines } from '../conformance/engines.ts'
import {
  acceptOne,
  acknowledge,
  admissionOf,
  admit,
  claim,
  makeItem,
  openWithMembers,
  sendMany,
  subscribe,
} from '../conformance/scenario.ts'
import { ask } from '../support/postgres.ts'
import type { MemberIdentity } from '../support/raw-mesh.ts'
import { recordingLog } from '../support/recording-log.ts'
import { seeded } from '../support/seed.ts'

const dayMs = 86_400_000
/** How often everything is looked at while everything changes. */
const passes = Number(process.env.CLAUDEMESH_TEST_DOCTOR_PASSES ?? 8)

/** Who is in the mesh in which something is planted. */
type Mesh = Readonly<Record<'meshId' | 'alice' | 'bob' | 'carol' | 'dave', string>>

/** A message as retention takes it. */
const takeMessage = (historyId: number) => [
  `DELETE FROM delivery_queue WHERE broker_message_id IN (SELECT id FROM topic_message WHERE history_id = ${historyId})`,
  `DELETE FROM mention_index WHERE broker_message_id IN (SELECT id FROM topic_message WHERE history_id = ${historyId})`,
  `DELETE FROM topic_message WHERE history_id = ${historyId}`,
  `DELETE FROM message_queue WHERE history_id = ${historyId}`,
  `UPDATE client_message_dedupe SET history_available = false WHERE history_id = ${historyId}`,
]
const takePlace = (historyId: number) => [`DELETE FROM message_history WHERE history_id = ${historyId}`]
const takeAll = (historyId: number) => [...takeMessage(historyId), ...takePlace(historyId)]

/** The places in the history of what `openHealthy` sends; 1 and 2 were taken by retention. */
const dm = 3
const post = 4
const stored = 5
const work = 6
const last = 7

/**
 * For each kind, and each table in which it is looked for, statements that make exactly that inconsistency. Kinds that
 * are no matter of rows stand under `whole`.
 */
const plants: Readonly<
  Record<InconsistencyName, Partial<Readonly<Record<TableName | 'whole', (mesh: Mesh) => readonly string[]>>>>
> = {
  message_missing: {
    client_message_dedupe: () => [
      ...takeAll(dm),
      `UPDATE client_message_dedupe SET history_available = true WHERE history_id = ${dm}`,
    ],
  },
  message_without_dedupe: {
    topic_message: () => [`DELETE FROM client_message_dedupe WHERE history_id = ${dm}`],
    message_queue: () => [`DELETE FROM client_message_dedupe WHERE history_id = ${work}`],
  },
  message_marked_gone: {
    topic_message: () => [`UPDATE client_message_dedupe SET history_available = false WHERE history_id = ${dm}`],
    message_queue: () => [`UPDATE client_message_dedupe SET history_available = false WHERE history_id = ${work}`],
  },
  message_without_history: {
    topic_message: () => takePlace(dm),
    message_queue: () => [...[dm, post, stored].flatMap(takeAll), ...takePlace(work)],
  },
  history_without_message: { message_history: () => takeMessage(dm) },
  history_gap: { message_history: () => takeAll(post), mesh_counter: () => takeAll(last) },
  history_id_contradicts: {
    client_message_dedupe: () => [`UPDATE client_message_dedupe SET history_id = ${post} WHERE history_id = ${dm}`],
  },
  delivery_without_message: {
    delivery_queue: ({ meshId, alice }) => [
      `INSERT INTO delivery_queue (mesh_id, recipient, delivery_id, broker_message_id)
       VALUES ('${meshId}', '${alice}', 1, 'nothing')`,
    ],
  },
  delivery_for_gone: { delivery_queue: () => ['UPDATE member SET draining = false WHERE draining'] },
  receipt_contradicts: { receipt: ({ bob }) => [`UPDATE receipt SET member_id = '${bob}'`] },
  mention_without_message: {
    mention_index: ({ meshId, bob }) => [`INSERT INTO mention_index VALUES ('${meshId}', '${bob}', 'nothing')`],
  },
  counter_behind: {
    mesh: () => ['DELETE FROM mesh_counter'],
    client_message_dedupe: () => ['UPDATE client_message_dedupe SET history_id = 1000 WHERE history_id = 1'],
    message_history: () => [`UPDATE mesh_counter SET last_history_id = ${last - 1}`],
    delivery_queue: () => [
      `UPDATE delivery_queue SET delivery_id = 1000
        WHERE broker_message_id = (SELECT id FROM topic_message WHERE history_id = ${last})`,
    ],
    receipt: () => ['UPDATE receipt SET delivery_id = 1000 + delivery_id'],
  },
  subscription_of_gone: {
    topic_subscription: ({ meshId, carol }) => [
      `INSERT INTO topic_subscription VALUES ('${meshId}', 'news', '${carol}', ${last}, 0)`,
    ],
  },
  consumer_of_gone: {
    queue_consumer: ({ meshId, carol }) => [
      `INSERT INTO queue_consumer (mesh_id, queue, member_id, since_history_id, joined_at)
       VALUES ('${meshId}', 'builds', '${carol}', ${last}, 0)`,
      'UPDATE queue SET consumers = consumers + 1',
    ],
  },
  consumers_miscounted: { queue: () => ['UPDATE queue SET consumers = consumers + 1'] },
  work_without_queue: { message_queue: () => [`UPDATE message_queue SET queue = 'nowhere'`] },
  recipient_count_contradicts: {
    client_message_dedupe: () => [`UPDATE client_message_dedupe SET recipient_count = 0 WHERE history_id = ${post}`],
  },
  fingerprint_unusable: {
    client_message_dedupe: () => [
      'DROP CONSTRAINT OF FINGERPRINTS',
      `UPDATE client_message_dedupe SET request_fingerprint = substr(request_fingerprint, 1, 31)
        WHERE history_id = ${dm}`,
    ],
  },
  blob_without_object: { blob: () => ['DELETE FROM blob_object'] },
  blob_object_miscounted: { blob_object: () => ['UPDATE blob_object SET refs = refs + 1'] },
  blob_usage_miscounted: { blob_usage: () => ['UPDATE blob_usage SET bytes = bytes + 1'] },
  // What is no matter of the database: doctor-files.test.ts.
  blob_file_missing: {},
  blob_file_unknown: {},
  file_damaged: {
    whole: ({ meshId }) => [`INSERT INTO presence (mesh_id, member_id) VALUES ('${meshId}', 'nobody')`],
  },
  schema_differs: {
    whole: () => [`INSERT INTO schema_migration (version, name, applied_at) VALUES (99, 'later', 0)`],
  },
}

const ofRows = inconsistencies.filter(({ name }) => !name.startsWith('blob_file_'))

/** Every kind with every place in which it is looked for, as the table of the checks has them. */
const claims = ofRows.flatMap(({ name, checks }): { name: InconsistencyName; where: TableName | 'whole' }[] =>
  checks.length === 0 ? [{ name, where: 'whole' }] : checks.map(({ table }) => ({ name, where: table })),
)

for (const engine of engines) {
  const open = () => openHealthy(engine.open)
  const claimed = claims.filter(({ name }) => name !== 'file_damaged' || engine.name === 'SQLite')

  describe(`the doctor (${engine.name})`, () => {
    test('looks at every table and finds nothing in a database with traffic', async () => {
      const { engine: healthy } = await open()
      const { checked, findings } = await examineBroker(healthy.database)
      expect(findings).toEqual([])
      expect(Object.keys(checked).sort()).toEqual(Object.keys(tables).sort())
      expect(Object.entries(checked).filter(([, rows]) => rows === 0)).toEqual([])
      expect(checked).toMatchObject({ client_message_dedupe: last, message_history: last - 2, message_queue: 1 })
    })

    for (const { name, where } of claimed) {
      test(`finds ${name} (${where}) and nothing else`, async () => {
        const { engine: ill, mesh } = await open()
        await plant(ill, mesh, name, where)
        const { findings } = await examineBroker(ill.database)
        expect(findings.map((finding) => finding.name)).toEqual([name])
        const [finding] = findings
        expect(finding?.count).toBeGreaterThan(0)
        expect(finding?.meaning).toMatch(/\w/)
        expect(finding?.remedy).toMatch(/\w/)
        if (where !== 'whole') expect(finding?.rows).toContainEqual(expect.objectContaining({ table: where }))
      })
    }

    test('counts every row of a kind, however many there are, and names the first', async () => {
      const { engine: ill, mesh, alice, bob } = await open()
      await sendMany(ill, { from: alice, to: bob, count: 2_500, receipts: false })
      await execute(ill, [`UPDATE client_message_dedupe SET recipient_count = 7 WHERE history_id > ${last}`])
      const { findings, checked } = await examineBroker(ill.database)
      expect(findings).toMatchObject([{ name: 'recipient_count_contradicts', count: 2_500 }])
      expect(findings[0]?.rows).toHaveLength(100)
      expect(findings[0]?.rows[0]).toMatchObject({ table: 'client_message_dedupe', mesh_id: mesh.meshId })
      expect(checked).toMatchObject({ client_message_dedupe: last + 2_500 })
    })

    test('finds nothing while everything changes', async () => {
      const { engine: healthy, members, people } = await open()
      const looking = new AbortController()
      const traffic = changeEverything(healthy, { members, people }, looking.signal)
      const findings: unknown[] = []
      try {
        for (let pass = 0; pass < passes || (traffic.rounds() < 3 * passes && !traffic.isOver()); pass += 1) {
          findings.push(...(await examineBroker(healthy.database)).findings, ...(await inspectAll(healthy)))
        }
      } finally {
        looking.abort()
      }
      expect(findings).toEqual([])
      expect(await traffic.ended).toMatchObject({
        stored: true,
        expired: true,
        departed: true,
        returned: true,
        relayed: true,
      })
    }, 120_000)
  })

  describe(`the job (${engine.name})`, () => {
    for (const { name, where } of claims.filter((claim) => claim.where !== 'whole')) {
      test(`finds ${name} (${where}), logs each row once and counts it`, async () => {
        const { engine: ill, mesh } = await open()
        await plant(ill, mesh, name, where)
        const job = watch(ill)
        await job.passes(1)
        const lines = job.lines.filter(({ msg }) => msg === 'inconsistency_found')
        expect(new Set(lines.map(({ inconsistency }) => inconsistency))).toEqual(new Set([name]))
        expect(lines.map(({ table }) => table)).toContain(where)
        expect(await job.found()).toEqual({ [name]: lines.length })
        await job.passes(1)
        expect(job.lines.filter(({ msg }) => msg === 'inconsistency_found')).toHaveLength(lines.length)
        expect(await job.rows()).toBeGreaterThan(0)
      })
    }

    test('counts no longer what has been mended', async () => {
      const { engine: ill, mesh } = await open()
      const job = watch(ill)
      await job.passes(1)
      expect(await job.found()).toEqual({})
      await plant(ill, mesh, 'message_marked_gone', 'topic_message')
      await job.passes(1)
      expect(await job.found()).toEqual({ message_marked_gone: 1 })
      await execute(ill, [`UPDATE client_message_dedupe SET history_available = true WHERE history_id = ${dm}`])
      await job.passes(1)
      expect(await job.found()).toEqual({})
    })

    test('goes on where it was, step by step, with as many rows in each as take a few milliseconds', async () => {
      const { engine: healthy, alice, bob } = await open()
      await sendMany(healthy, { from: alice, to: bob, count: 600 })
      const quick = watch(healthy, { stepMs: 1 })
      await quick.passes(1)
      expect(Math.max(...quick.steps.map(({ rowsMax }) => rowsMax))).toBe(256)
      const slow = watch(healthy, { stepMs: 40 })
      await slow.passes(1)
      expect(Math.max(...slow.steps.map(({ rowsMax }) => rowsMax))).toBe(32)
      expect(slow.mostAtOnce()).toBe(2)
      for (const [index, { next }] of slow.steps.entries()) {
        expect(slow.steps[index + 1]?.position ?? null).toEqual(next)
      }
    })
  })
}

test('the doctor finds damage of the file itself and looks no further', async () => {
  const [embedded] = engines
  if (embedded === undefined) throw new Error('the first engine is the embedded one')
  const { engine: ill } = await openHealthy(embedded.open)
  await ill.store.close()
  const file = openSync(join(directoryOf(ill), 'broker.db'), 'r+')
  writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, statSync(join(directoryOf(ill), 'broker.db')).size - 4096)
  closeSync(file)
  const { findings, checked } = await examineBroker(ill.database)
  expect(findings.map(({ name }) => name)).toEqual(['file_damaged'])
  expect(checked).toEqual({})
})

/** A mesh in which everything has happened that can, and nothing is wrong. */
async function openHealthy(open: () => Promise<Engine>) {
  const { engine, mesh, people, alice, bob, carol } = await openWithMembers(open)
  const dave = await admit(engine, mesh.join('dave'))
  const { store, clock } = engine
  await sendMany(engine, { from: alice, to: bob, count: 2 })
  await acknowledge(engine, bob, await claim(engine, bob, { connectionId: 'early' }))
  clock.advance(31 * dayMs)
  await store.expireMessages({ now: clock.now(), messageRetentionDays: 30, rowsMax: 100 })
  await acknowledge(engine, alice, await claimReceipts(engine, alice))

  for (const member of [bob, carol, dave]) await subscribe(engine, member, 'news')
  await store.queues.consume(bob, { queue: 'builds', maxDeliveries: null, consumersMax: 10, now: clock.now() })
  const send = (to: Parameters<typeof makeItem>[2], more = {}) =>
    acceptOne(engine, makeItem(engine, alice, to, { mentions: [bob.memberId], ...more }))
  await send({ kind: 'dm', ref: bob.memberId })
  await send({ kind: 'topic', ref: 'news' })
  await send({ kind: 'dm', ref: carol.memberId })
  await acknowledge(engine, carol, await claim(engine, carol, { connectionId: 'carol' }))
  await send({ kind: 'queue', ref: 'builds' })
  await send({ kind: 'dm', ref: bob.memberId })
  await relayBlobs(engine, alice, bob)
  // Gone, with nothing left that waits; and gone, with something that is still to be dropped.
  await store.leave(carol, { at: clock.now(), rowsMax: 100, leaseEnded: false })
  await store.leave(dave, { at: clock.now(), rowsMax: 0, leaseEnded: false })
  const names = { meshId: alice.meshId, alice: alice.memberId, bob: bob.memberId, carol: carol.memberId }
  return { engine, mesh: { ...names, dave: dave.memberId }, alice, bob, people, members: { alice, bob, carol } }
}

/** A blob that is stored, and one that is on its way. */
async function relayBlobs({ store: { blobs }, clock }: Engine, sender: MemberKey, recipient: MemberKey): Promise<void> {
  const now = clock.now()
  const [stored, open] = ['a', 'b'].map((letter) => blobOf(sender, { recipient, letter, now })) as [Wanted, Wanted]
  for (const blob of [stored, open]) expect(await blobs.reserve(blob)).toMatchObject({ kind: 'open' })
  expect(await blobs.beginPublish(stored, { leaseUntil: now + 1_000 })).toBe('done')
  expect(await blobs.finishPublish(stored)).toBe('done')
}

type Wanted = ReturnType<typeof blobOf>

function blobOf(
  sender: MemberKey,
  o: { readonly recipient: MemberKey; readonly letter: string; readonly now: number },
) {
  const { recipient, letter, now } = o
  return {
    meshId: sender.meshId,
    sender: sender.memberId,
    recipients: [recipient.memberId],
    address: `blake3:${letter.repeat(64)}`,
    sizeBytes: 100,
    expiresAt: now + dayMs,
    now,
    quotaBytes: 10_000,
    blobsMax: 10,
    openMax: 10,
  }
}

/** @returns delivery ids of the receipts that wait for a member */
async function claimReceipts(engine: Engine, member: MemberKey): Promise<readonly number[]> {
  const request = { ...member, connectionId: 'receipts', leaseMs: 30_000, itemsMax: 1_000, bytesMax: 1_000_000 }
  return (await engine.store.claim(request)).receipts.map(({ deliveryId }) => deliveryId)
}

function plant(engine: Engine, mesh: Mesh, name: InconsistencyName, where: TableName | 'whole'): Promise<void> {
  const make = plants[name][where]
  if (make === undefined) throw new Error(`nobody plants ${name} in ${where}: the doctor's claim is not proven`)
  return execute(engine, make(mesh))
}

/** Changes rows from outside, past every constraint but those of the columns. */
async function execute({ database }: Engine, statements: readonly string[]): Promise<void> {
  if ('databaseUrl' in database) {
    const { databaseUrl } = database
    // The database serves other tests after this one.
    onTestFinished(async () => void (await ask(databaseUrl, restoreSchema)))
    const sql = statements.map((statement) =>
      statement === 'DROP CONSTRAINT OF FINGERPRINTS'
        ? 'ALTER TABLE client_message_dedupe DROP CONSTRAINT client_message_dedupe_request_fingerprint_check'
        : statement,
    )
    await ask(databaseUrl, ['SET search_path TO mesh', 'SET session_replication_role TO replica', ...sql].join(';'))
    return
  }
  const db = new BetterSqlite3(join(database.data, 'broker.db'))
  db.pragma('foreign_keys = OFF')
  for (const statement of statements) {
    if (statement === 'DROP CONSTRAINT OF FINGERPRINTS') dropFingerprintCheck(db)
    else db.exec(statement)
  }
  db.close()
}

/** What a plant may change of a PostgreSQL schema, put back. */
const restoreSchema = `
  DELETE FROM mesh.schema_migration WHERE version = 99;
  DELETE FROM mesh.client_message_dedupe;
  ALTER TABLE mesh.client_message_dedupe
    DROP CONSTRAINT IF EXISTS client_message_dedupe_request_fingerprint_check,
    ADD CONSTRAINT client_message_dedupe_request_fingerprint_check CHECK (octet_length(request_fingerprint) = 32)`

function dropFingerprintCheck(db: BetterSqlite3.Database): void {
  db.unsafeMode()
  db.pragma('writable_schema = ON')
  db.exec(`UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (length(request_fingerprint) = 32)', '')
            WHERE name = 'client_message_dedupe'`)
  db.pragma('writable_schema = RESET')
}

function directoryOf({ database }: Engine): string {
  if ('databaseUrl' in database) throw new Error('this engine has no directory')
  return database.data
}

/** A whole pass as the job makes it, through the broker's own connections, in small steps. */
async function inspectAll({ store }: Engine): Promise<readonly unknown[]> {
  const findings: unknown[] = []
  let position: InspectionPosition | null = null
  do {
    const step: InspectionStep = await store.inspect(position, 16)
    findings.push(...step.findings)
    position = step.next
    // As the runner of jobs does: whoever else has something to do has a turn.
    await nextTurn()
  } while (position !== null)
  return findings
}

/**
 * The job over a store, with what it logs and counts.
 *
 * @param options `stepMs`: how long each step takes at least, by the clock of the store
 */
function watch(engine: Engine, { stepMs = 0 } = {}) {
  const metrics = createMetrics()
  const { log, lines } = recordingLog()
  const steps: { position: unknown; rowsMax: number; next: unknown }[] = []
  let ended = 0
  let most = 0
  const job = orphanCheck({
    store: {
      async inspect(position, rowsMax) {
        const step = await engine.store.inspect(position, rowsMax)
        steps.push({ position, rowsMax, next: step.next })
        engine.clock.advance(stepMs)
        if (step.next === null) ended += 1
        return step
      },
    },
    ...{ metrics, log, runtime: engine.clock, intervalMs: 1_000, restMs: 0 },
  })
  return {
    lines,
    steps,
    async passes(count: number): Promise<void> {
      for (const until = ended + count; ended < until; ) {
        const before = steps.length
        while (await job.step());
        most = Math.max(most, steps.length - before)
      }
    },
    /** How many steps followed each other without a pause. */
    mostAtOnce: () => most,
    /** Kinds to numbers, without those of which there are none. */
    async found(): Promise<Readonly<Record<string, number>>> {
      const { values } = await metrics.gauges.atomicity_violation_found.get()
      expect(values).toHaveLength(inconsistencies.length)
      return Object.fromEntries(
        values.filter(({ value }) => value > 0).map((each) => [each.labels['kind'], each.value]),
      )
    },
    async rows(): Promise<number> {
      return (await metrics.counters.dedupe_orphan_check.get()).values[0]?.value ?? 0
    },
  }
}

/** Everything that changes rows, at once and again and again, until the signal. */
function changeEverything(
  engine: Engine,
  who: {
    readonly members: Readonly<Record<'alice' | 'bob' | 'carol', MemberKey>>
    readonly people: Readonly<Record<'carol', MemberIdentity>>
  },
  signal: AbortSignal,
) {
  const { store, clock } = engine
  const { alice, bob, carol } = who.members
  const { pick } = seeded()
  const seen = { stored: false, expired: false, departed: false, returned: false, relayed: false }
  let rounds = 0
  const destinations = () =>
    pick([
      { kind: 'dm', ref: bob.memberId },
      { kind: 'dm', ref: carol.memberId },
      { kind: 'topic', ref: 'news' },
      { kind: 'queue', ref: 'builds' },
    ] as const)
  const send = async () => {
    const items = Array.from({ length: 20 }, () => {
      const id = `id-${Math.floor(rounds / 2)}-${pick(['a', 'b', 'c', 'd', 'e'])}`
      return makeItem(engine, alice, destinations(), { id, mentions: [bob.memberId] })
    })
    const outcomes = await store.acceptBatch(items)
    seen.stored ||= outcomes.some(({ kind }) => kind === 'stored')
  }
  const deliver = async () => {
    for (const member of [alice, bob]) {
      await acknowledge(engine, member, await claim(engine, member, { connectionId: member.memberId, itemsMax: 15 }))
    }
    await acknowledge(engine, alice, await claimReceipts(engine, alice))
  }
  const doWork = async () => {
    const leaseId = clock.nextId()
    const request = { ...bob, queue: 'builds', limit: 5, bytesMax: 1_000, leaseId, leaseMs: 60_000, now: clock.now() }
    const taken = await store.queues.take(request)
    const messages = taken.kind === 'taken' ? taken.messages : []
    const items = messages.map(
      ({ message: { brokerMessageId } }) => ({ brokerMessageId, leaseId, action: 'ack' }) as const,
    )
    await store.queues.settle(bob, { items, now: clock.now() })
  }
  const comeAndGo = async () => {
    const now = clock.now()
    const admitted = await store.admit(admissionOf(engine, who.people.carol))
    seen.returned ||= admitted.kind === 'admitted' && admitted.changed !== null
    await store.subscribe(carol, { topic: 'news', subscribed: true, at: now })
    await store.queues.consume(carol, { queue: 'builds', maxDeliveries: 3, consumersMax: 9, now })
    await store.subscribe(bob, { topic: 'news', subscribed: rounds % 2 === 0, at: now })
    await send()
    seen.departed ||= (await store.leave(carol, { at: now, rowsMax: 3, leaseEnded: false })) !== null
    await store.drain({ at: now, rowsMax: 5 })
  }
  const relay = async () => {
    const { blobs } = store
    const now = clock.now()
    const blob = blobOf(alice, { recipient: bob, letter: pick(['c', 'd', 'e']), now })
    await blobs.reserve(blob)
    await blobs.beginPublish(blob, { leaseUntil: now })
    seen.relayed ||= (await blobs.finishPublish(blob)) === 'done'
    if (rounds % 2 === 0) await blobs.acknowledge(bob, { address: blob.address, now })
    await blobs.expire({ now, idleBefore: now - dayMs, forgetBefore: now - dayMs, rowsMax: 5 })
    for (const address of await blobs.doomObjects({ now, rowsMax: 5 })) {
      await blobs.deleteObject(address, async () => undefined)
    }
  }
  const expire = async () => {
    clock.advance(2 * dayMs)
    const { rows } = await store.expireMessages({ now: clock.now(), messageRetentionDays: 20, rowsMax: 40 })
    seen.expired ||= rows > 0
    await store.expireDedupe({ now: clock.now(), rowsMax: 40 })
  }
  const run = async () => {
    while (!signal.aborted) {
      await Promise.all([send(), send(), deliver(), doWork(), comeAndGo(), relay(), expire()])
      rounds += 1
      await nextTurn()
    }
    return seen
  }
  let over = false
  const ended = run().finally(() => {
    over = true
  })
  // A failure is the test's to see, when it is through with looking.
  ended.catch(() => undefined)
  return { ended, rounds: () => rounds, isOver: () => over }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
