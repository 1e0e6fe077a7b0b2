/** A member in a file: consistent while its daemon runs, sealed, and back without a message sent twice. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { HistoryRow, Identity, OutboxDetail, TopicList } from '@claudemesh/protocol'
import type { HistoryStats } from '@claudemesh/protocol/history'
import type { SinkList, SinkRunView } from '@claudemesh/protocol/sinks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonlWriter } from '../../packages/sinks/src/index.ts'
import { eventually } from '../support/eventually.ts'
import { TestMember, TestMesh } from '../support/mesh.ts'
import { sendUntilAcknowledged } from '../support/traffic.ts'

const passphrase = 'correct horse battery staple'

// Stretching a passphrase takes a second, and much longer on a busy machine: that is its purpose.
describe('a backup', { timeout: 120_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let files = 0
  const made: TestMember[] = []

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(async () => {
    for (const member of made) await member.kill()
    await mesh.end()
  })

  /** @returns the path of the file */
  function backUp(member: TestMember, options: readonly string[] = []): string {
    files += 1
    const path = `${mesh.directory}/${files}.backup`
    member.cli(['daemon', 'backup', '--out', path, ...options], `${passphrase}\n`)
    return path
  }

  function restore(path: string, name: string, options: readonly string[] = []): TestMember {
    files += 1
    const member = new TestMember(name, `${mesh.directory}/restored${files}`)
    made.push(member)
    member.cli(['daemon', 'restore', '--in', path, ...options], passphrase)
    return member
  }

  async function rowOf(member: TestMember, key: string): Promise<OutboxDetail['row']> {
    const answer = await member.request({ method: 'GET', path: `/v1/outbox/${key}` })
    return (answer.json as OutboxDetail).row
  }

  async function textsIn(member: TestMember): Promise<string[]> {
    return (await member.inbox()).map(({ message }) => message ?? '')
  }

  test('made while the daemon works brings the member back: identity, settings, subscriptions', async () => {
    writeFileSync(alice.paths.config, '[inbox]\nretention_days = 7\n', { mode: 0o600 })
    alice.cli(['topic', 'subscribe', 'builds'])
    alice.cli(['daemon', 'rotate-keypair'])
    const before = (await alice.request({ method: 'GET', path: '/v1/identity' })).json as Identity
    await bob.send({ to: '@alice', message: 'from before' }, '?wait=20000&until=delivered')
    const path = backUp(alice)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await alice.kill()

    const restored = restore(path, 'alice')
    expect(readFileSync(restored.paths.config, 'utf8')).toContain('retention_days = 7')
    expect(readdirSync(restored.paths.directory)).not.toContain('outbox.db')
    await restored.start()
    const after = (await restored.request({ method: 'GET', path: '/v1/identity' })).json as Identity
    expect(after).toEqual({ ...before, conflict: null })
    const { topics } = (await restored.request({ method: 'GET', path: '/v1/topic/list' })).json as TopicList
    expect(topics).toMatchObject([{ name: 'builds', wanted: true }])
    const sent = await bob.send({ to: '@alice', message: 'after' }, '?wait=20000&until=delivered')
    expect(sent.json).toMatchObject({ state: 'delivered' })
    const { jumps } = (await restored.request({ method: 'GET', path: '/v1/history/stats' })).json as HistoryStats
    expect(jumps, 'its history gives no seq that the other home may have given').toMatchObject([{ reason: 'restored' }])
    await eventually('what came before is there too', async () =>
      ['from before', 'after'].every(isIn(await textsIn(restored))),
    )
    await restored.kill()
    await alice.start()
  })

  test('of a host that exports: the restored one exports what it records, and nothing that the other has', async () => {
    const exports = `${mesh.directory}/exports`
    const run = async (member: TestMember, name: string) =>
      (await member.request({ method: 'POST', path: `/v1/sinks/${name}/run`, body: {} })).json as SinkRunView
    const send = async (member: TestMember, message: string) => {
      await member.send({ to: '@bob', message }, '?wait=20000&until=delivered')
      await eventually('it is recorded', async () => {
        const { json } = await member.request({ method: 'GET', path: '/v1/history/query?direction=sent&limit=500' })
        return (json as { readonly rows: readonly HistoryRow[] }).rows.some(({ body }) => body === message)
      })
    }
    for (const name of ['lake', 'idle']) {
      const sink = { name, destination: `file://${exports}/${name}`, writer: 'jsonl', schedule: '0 0 1 1 *' }
      await alice.request({ method: 'POST', path: '/v1/sinks', body: sink })
    }
    await alice.request({ method: 'POST', path: '/v1/sinks/idle/pause', body: {} })
    await send(alice, 'exported before the backup')
    expect(await run(alice, 'lake')).toMatchObject({ error: null })
    await send(alice, 'waits when the backup is made')
    const path = backUp(alice, ['--with-outbox'])
    await send(alice, 'after the backup')
    expect(await run(alice, 'lake')).toMatchObject({ error: null })
    await alice.kill()

    const restored = restore(path, 'alice')
    await restored.start()
    await send(restored, 'of the restored home')
    expect(await run(restored, 'lake')).toMatchObject({ error: null, lost: 0 })
    const { sinks } = (await restored.request({ method: 'GET', path: '/v1/sinks' })).json as SinkList
    expect(sinks.map(({ name, phase }) => [name, phase]).toSorted()).toEqual([
      ['idle', 'paused'],
      ['lake', 'waiting'],
    ])
    const objects = readdirSync(`${exports}/lake`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.gz'))
      .toSorted()
    const rows = (
      await Promise.all(objects.map((name) => jsonlWriter.decode(readFileSync(`${exports}/lake/${name}`))))
    ).flat()
    expect(new Set(rows.map(({ seq }) => seq)).size, 'no seq twice').toBe(rows.length)
    expect(new Set(rows.map(({ row_id }) => row_id)).size, 'no row twice').toBe(rows.length)
    const texts = rows.filter(({ direction }) => direction === 'sent').map(({ body }) => body)
    for (const text of ['exported before the backup', 'waits when the backup is made', 'after the backup']) {
      expect(texts).toContain(text)
    }
    expect(texts).toContain('of the restored home')
    const seqs = objects.map((name) => /S\.(\d+)-(\d+)/.exec(name)?.slice(1).map(Number) ?? [])
    const gap = 1_000_000_000
    const isOfOneHome = ([since = 0, until = 0]: readonly number[]) => until < gap || since >= gap
    expect(
      seqs.filter((range) => !isOfOneHome(range)),
      'ranges of the two homes do not meet',
    ).toEqual([])
    await restored.kill()
    await alice.start()
  })

  test('shows nothing without its passphrase, which is in no file, and no message in plain text', async () => {
    await alice.send({ to: '@bob', message: 'a recognisable secret' }, '?wait=20000&until=delivered')
    const path = backUp(alice, ['--with-outbox'])
    const bytes = readFileSync(path)
    for (const text of ['a recognisable secret', 'signing_secret', 'alice', passphrase]) {
      expect(bytes.includes(text)).toBe(false)
    }
    const home = new TestMember('alice', `${mesh.directory}/nothing`)
    const wrong = home.run(['daemon', 'restore', '--in', path, '--json'], 'another one')
    expect(wrong.status).toBe(77)
    expect(JSON.parse(wrong.stderr)).toMatchObject({ code: 'passphrase_wrong' })
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(flipped.length - 40) ^ 1, flipped.length - 40)
    writeFileSync(`${path}.flipped`, flipped)
    const changed = home.run(['daemon', 'restore', '--in', `${path}.flipped`, '--json'], passphrase)
    expect(JSON.parse(changed.stderr)).toMatchObject({ code: 'passphrase_wrong' })
    writeFileSync(`${path}.other`, 'something else')
    const other = home.run(['daemon', 'restore', '--in', `${path}.other`, '--json'], passphrase)
    expect(JSON.parse(other.stderr)).toMatchObject({ code: 'passphrase_file_invalid' })
    const empty = alice.run(['daemon', 'backup', '--out', `${path}.2`, '--json'], '\n')
    expect(JSON.parse(empty.stderr)).toMatchObject({ code: 'invalid_usage' })
  })

  test('is restored into no home that has the mesh, and takes its passphrase from a file too', () => {
    writeFileSync(`${mesh.directory}/phrase`, `${passphrase}\n`)
    const option = ['--passphrase-file', `${mesh.directory}/phrase`]
    const path = backUp(alice, option)
    const refused = alice.run(['daemon', 'restore', '--in', path, ...option, '--json'])
    expect(refused.status).toBe(73)
    expect(JSON.parse(refused.stderr)).toMatchObject({ code: 'mesh_exists' })
  })

  test('made under a stream of sends holds a prefix of them', async () => {
    const keys = Array.from({ length: 60 }, (_, n) => `stream-${String(n).padStart(2, '0')}`)
    const sending = (async () => {
      for (const key of keys) {
        await sendUntilAcknowledged(alice, { to: '@bob', message: key, client_message_id: key })
      }
    })()
    const path = backUp(alice, ['--with-outbox'])
    await sending
    await alice.drained()
    await alice.kill()
    const restored = restore(path, 'alice')
    await restored.start()
    await restored.drained()
    const known = await Promise.all(
      keys.map(async (key) => (await restored.request({ method: 'GET', path: `/v1/outbox/${key}` })).status === 200),
    )
    expect(known).toEqual(known.toSorted((one, other) => Number(other) - Number(one)))
    await eventually('bob has them all', async () => keys.every(isIn(await textsIn(bob))))
    expect((await textsIn(bob)).filter((text) => text.startsWith('stream-')).toSorted()).toEqual(keys)
    await restored.kill()
    await alice.start()
  })

  test('of an outbox whose rows were delivered since sends none of them twice', async () => {
    // The broker stands still: what was sent to it is on the wire, frozen and unanswered.
    const keys = Array.from({ length: 20 }, (_, n) => `frozen-${String(n).padStart(2, '0')}`)
    await eventually('alice is connected', async () => (await alice.health())?.link.connected)
    mesh.broker.running.signal('SIGSTOP')
    for (const key of keys) await alice.send({ to: '@bob', message: key, client_message_id: key })
    await eventually('all are on the wire', async () => (await alice.health())?.outbox.inflight === keys.length)
    const path = backUp(alice, ['--with-outbox'])
    mesh.broker.running.signal('SIGCONT')
    await alice.drained()
    await eventually('bob has them all', async () => keys.every(isIn(await textsIn(bob))))
    const ids = await Promise.all(keys.map(async (key) => (await rowOf(alice, key)).broker_message_id))
    await alice.kill()

    const restored = restore(path, 'alice')
    await restored.start()
    await restored.drained()
    for (const [index, key] of keys.entries()) {
      expect(await rowOf(restored, key)).toMatchObject({ status: 'done', broker_message_id: ids[index] })
    }
    const again = await restored.send({ to: '@bob', message: keys[0], client_message_id: keys[0] })
    expect(again).toMatchObject({ status: 200 })
    const marker = await restored.send({ to: '@bob', message: 'marker' }, '?wait=20000&until=delivered')
    expect(marker.json).toMatchObject({ state: 'delivered' })
    expect((await textsIn(bob)).filter((text) => text.startsWith('frozen-')).toSorted()).toEqual(keys)
    await restored.kill()
    await alice.start()
  })

  for (const running of [true, false]) {
    test(`of rows that had never been on the wire, made while the daemon ${running ? 'runs' : 'is stopped'}, sends none twice`, async () => {
      const topic = running ? 'known' : 'known-too'
      alice.cli(['topic', 'subscribe', topic])
      bob.cli(['topic', 'subscribe', topic])
      await eventually('alice knows who reads the topic', async () => {
        const sent = await alice.send({ to: `#${topic}`, message: 'warm-up' }, '?wait=5000&until=delivered')
        return (sent.json as { state: string }).state === 'delivered'
      })
      await mesh.broker.kill()
      const sends = [
        { key: `dm-unsealed-${running}`, to: '@bob' },
        { key: `dm-urgent-${running}`, to: '@bob', priority: 'now' },
        { key: `topic-unsealed-${running}`, to: `#${topic}` },
      ]
      for (const { key, ...rest } of sends) await alice.send({ ...rest, message: key, client_message_id: key })
      if (!running) await alice.kill()
      const path = backUp(alice, ['--with-outbox'])
      if (!running) await alice.start()
      await mesh.broker.start()
      await alice.drained()
      const keys = sends.map(({ key }) => key)
      await eventually('bob has them all', async () => keys.every(isIn(await textsIn(bob))))
      const ids = await Promise.all(keys.map(async (key) => (await rowOf(alice, key)).broker_message_id))
      await alice.kill()

      const restored = restore(path, 'alice')
      await restored.start()
      await restored.drained()
      for (const [index, key] of keys.entries()) {
        expect(await rowOf(restored, key)).toMatchObject({ status: 'done', broker_message_id: ids[index] })
      }
      await marked(restored)
      expect((await textsIn(bob)).filter((text) => keys.includes(text)).toSorted()).toEqual(keys.toSorted())
      await restored.kill()
      await alice.start()
    })
  }

  test('of a row that could not be sealed says so, and the row says that it was sent since', async () => {
    const key = 'to-whom-was-unknown'
    bob.cli(['topic', 'subscribe', 'fresh'])
    alice.cli(['topic', 'subscribe', 'fresh'])
    await mesh.broker.kill()
    await alice.send({ to: '#fresh', message: key, client_message_id: key })
    files += 1
    const path = `${mesh.directory}/${files}.backup`
    const said = alice.run(['daemon', 'backup', '--out', path, '--with-outbox'], `${passphrase}\n`)
    expect(said).toMatchObject({ status: 0, stderr: expect.stringContaining('not known: 1') })
    await mesh.broker.start()
    await alice.drained()
    await eventually('bob has it', async () => (await textsIn(bob)).includes(key))
    await alice.kill()

    const restored = restore(path, 'alice')
    await restored.start()
    await restored.drained()
    await marked(restored)
    const row = await rowOf(restored, key)
    expect(row).toMatchObject({
      status: 'dead',
      last_error: expect.stringMatching(/^sent_after_backup: .*drop the row/),
    })
    expect((await textsIn(bob)).filter((text) => text === key)).toEqual([key])
    restored.cli(['daemon', 'outbox', 'drop', '--id', row.id])
    expect((await restored.health())?.conditions.map(({ code }) => code)).not.toContain('outbox_dead_rows')
    await restored.kill()
    await alice.start()
  })

  test('holds a row that was requeued since under its first id: it arrives again, unless it is left behind', async () => {
    const text = 'of two lives'
    await mesh.broker.kill()
    await alice.send({ to: '@bob', message: text, client_message_id: 'first-life' })
    const path = backUp(alice, ['--with-outbox'])
    const { id } = await rowOf(alice, 'first-life')
    alice.cli(['daemon', 'outbox', 'requeue', '--id', id, '--new-client-id', 'second-life'])
    await mesh.broker.start()
    await alice.drained()
    await eventually('bob has it', async () => (await textsIn(bob)).includes(text))
    await alice.kill()

    const careful = restore(path, 'alice', ['--without-outbox'])
    expect(readdirSync(careful.paths.directory)).not.toContain('outbox.db')
    await careful.start()
    await marked(careful)
    expect((await textsIn(bob)).filter((each) => each === text)).toHaveLength(1)
    await careful.kill()

    const restored = restore(path, 'alice')
    await restored.start()
    await restored.drained()
    await marked(restored)
    expect(await rowOf(restored, 'first-life')).toMatchObject({ status: 'done' })
    expect((await textsIn(bob)).filter((each) => each === text)).toHaveLength(2)
    await restored.kill()
    await alice.start()
  })

  /** What was sent before has arrived when this has. */
  async function marked(member: TestMember): Promise<void> {
    const marker = await member.send({ to: '@bob', message: 'marker' }, '?wait=20000&until=delivered')
    expect(marker.json).toMatchObject({ state: 'delivered' })
  }
})

function isIn(texts: readonly string[]): (text: string) => boolean {
  return (text) => texts.includes(text)
}
