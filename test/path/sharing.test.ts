/**
 * Files and directories shared between daemons over a broker, whoever is killed on the way (06 §17): each arrives once, whole,
 * and unread by the broker.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SharedFiles } from '@claudemesh/protocol'
import type { ShareList, ShareResponse, ShareView } from '@claudemesh/protocol/artifacts'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { filesIn, findAll, formsOf } from '../support/plaintext-search.ts'

async function listed(member: TestMember, query = ''): Promise<readonly ShareView[]> {
  const answer = await member.request({ method: 'GET', path: `/v1/file/list?limit=500${query}` })
  return (answer.json as ShareList).shares
}

/** Waits until the member has all of what was shared under a name. */
function fetched(member: TestMember, name: string): Promise<ShareView> {
  return eventually(`${member.name} has ${name}`, async () => {
    try {
      return (await listed(member, '&direction=received')).find(
        (share) => share.name === name && share.status === 'fetched',
      )
    } catch {
      // Killed, and not started again yet.
      return null
    }
  })
}

async function share(member: TestMember, body: Readonly<Record<string, unknown>>): Promise<ShareResponse> {
  const answer = await member.request({ method: 'POST', path: '/v1/file/share', body })
  if (answer.status !== 202) throw new Error(`not shared: ${answer.text}`)
  return answer.json as ShareResponse
}

async function read(member: TestMember, id: string, path?: string): Promise<string> {
  const query = `id=${id}${path === undefined ? '' : `&path=${encodeURIComponent(path)}`}`
  const answer = await member.request({ method: 'GET', path: `/v1/file/get?${query}` })
  if (answer.status !== 200) throw new Error(`not there: ${answer.text}`)
  return answer.text
}

describe('sharing', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let carol: TestMember
  let shared: string
  const secrets: string[] = []
  let files = 0

  /** A file of text that stands nowhere else. */
  function makeFile(repeated = 1): { readonly path: string; readonly name: string; readonly text: string } {
    files += 1
    const secret = randomBytes(24).toString('hex')
    secrets.push(secret)
    const name = `file-${files}.txt`
    const text = `${secret}\n`.repeat(repeated)
    writeFileSync(join(shared, name), text)
    return { path: join(shared, name), name, text }
  }

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob', 'carol'])
    ;[alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => mesh.member(name)) as [
      TestMember,
      TestMember,
      TestMember,
    ]
    shared = join(mesh.directory, 'shared')
    mkdirSync(shared)
  }, 120_000)
  afterAll(() => mesh.end())

  test('a file goes to a member, who is told of it and reads it, and the sender sees that it was sent', async () => {
    const { path, name, text } = makeFile(5000)
    const answer = await share(alice, { path, to: '@bob', message: 'have a look' })
    expect(answer).toMatchObject({ size_bytes: text.length, client_message_id: `share-${answer.share_id}` })
    const received = await fetched(bob, name)
    expect(received).toMatchObject({ share_id: answer.share_id, peer_name: 'alice', direction: 'received' })
    expect(await read(bob, answer.share_id)).toBe(text)
    expect(await read(bob, answer.content_address)).toBe(text)
    const part = await bob.request({
      method: 'GET',
      path: `/v1/file/get?id=${answer.share_id}`,
      headers: { range: 'bytes=0-4' },
    })
    expect([part.status, part.text]).toEqual([206, text.slice(0, 5)])
    const messages = (await bob.inbox()).filter(
      ({ client_message_id }) => client_message_id === answer.client_message_id,
    )
    expect(messages).toMatchObject([{ message: 'have a look', meta: { $files: { share_id: answer.share_id } } }])
    expect(JSON.stringify(messages)).not.toContain('"key"')
    await eventually('the sender sees it', async () => {
      return (await listed(alice, '&direction=sent')).some((each) => each.name === name && each.status === 'sent')
    })
  })

  test('what is in the body of a request is shared as it comes', async () => {
    const text = 'from a pipe\n'.repeat(1000)
    const answer = await alice.request({
      method: 'POST',
      path: '/v1/file/share?to=bob&name=piped.log',
      headers: { 'content-type': 'text/plain', 'idempotency-key': 'piped' },
      body: text,
    })
    expect(answer.status).toBe(202)
    await fetched(bob, 'piped.log')
    expect(await read(bob, (answer.json as ShareResponse).share_id)).toBe(text)
  })

  test('a directory goes to a topic, and each who is in it has all of it', async () => {
    for (const member of [bob, carol]) member.cli(['topic', 'subscribe', 'builds'])
    const directory = join(shared, 'tree')
    mkdirSync(join(directory, 'deep', 'er'), { recursive: true })
    const one = makeFile()
    writeFileSync(join(directory, 'deep', 'er', 'one.txt'), one.text)
    writeFileSync(join(directory, 'again.txt'), one.text)
    writeFileSync(join(directory, 'empty'), '')
    await eventually('the broker has both subscriptions', async () => {
      const sent = await alice.send({ to: '#builds', message: 'soon' }, '?wait=5000&until=accepted')
      return (sent.json as { recipient_count?: number }).recipient_count === 2
    })
    const { share_id } = await share(alice, { path: directory, to: '#builds' })
    for (const member of [bob, carol]) {
      await fetched(member, 'tree')
      expect(await read(member, share_id, 'deep/er/one.txt')).toBe(one.text)
      expect(await read(member, share_id, 'again.txt')).toBe(one.text)
      expect(await read(member, share_id, 'empty')).toBe('')
    }
  })

  test('what is refused has shared nothing, and says why', async () => {
    const before = (await listed(alice)).length
    const { path } = makeFile()
    const refused: readonly (readonly [Readonly<Record<string, unknown>>, number, string])[] = [
      [{ path: alice.home, to: 'bob' }, 403, 'path_forbidden'],
      [{ path: alice.paths.keypair, to: 'bob' }, 403, 'path_forbidden'],
      [{ path: '/', to: 'bob' }, 403, 'path_forbidden'],
      [{ path: 'relative', to: 'bob' }, 400, 'invalid_path'],
      [{ path: '/dev/zero', to: 'bob' }, 400, 'invalid_path'],
      [{ path, to: 'nobody-here' }, 404, 'recipient_unknown'],
      [{ path, to: 'queue:work' }, 422, 'destination_unsupported'],
      [{ path, to: 'bob', name: '../x' }, 400, 'invalid_path'],
      [{ path, to: 'bob', retention_class: 'for-ever' }, 422, 'retention_class_unknown'],
      [{ path, package_id: '01K0000000000000000000000A', to: 'bob' }, 400, 'invalid_request'],
      [{ to: 'bob' }, 400, 'invalid_request'],
      [{ package_id: '01K0000000000000000000000A', to: 'bob' }, 404, 'package_not_found'],
      [{ file_id: '01K0000000000000000000000A', to: 'bob' }, 404, 'file_not_found'],
    ]
    for (const [body, status, code] of refused) {
      const answer = await alice.request({ method: 'POST', path: '/v1/file/share', body })
      expect([answer.status, (answer.json as { code: string }).code], JSON.stringify(body)).toEqual([status, code])
    }
    expect(await listed(alice)).toHaveLength(before)
  })

  const steps = [
    'daemon.share.taken-in',
    'daemon.share.created',
    'daemon.share.uploaded',
    'daemon.share.upload-recorded',
    'daemon.share.accepted',
    'daemon.share.sent',
  ] as const
  for (const step of steps) {
    test(`a sender that is killed at "${step}" goes on when it is back, and it arrives once`, async () => {
      await alice.start({ crashAt: step })
      await alice.knows(['bob'])
      const { path, name, text } = makeFile(3000)
      const body = { path, to: 'bob', client_message_id: `kill-${step}` }
      await share(alice, body).catch(() => null)
      await eventually('the sender is dead', () => alice.running.ending?.signal === 'SIGKILL')
      await alice.start()
      await alice.knows(['bob'])
      const { share_id } = await share(alice, body)
      await fetched(bob, name)
      expect(await read(bob, share_id)).toBe(text)
      expect((await listed(bob)).filter((each) => each.name === name)).toHaveLength(1)
      const messages = (await bob.inbox()).filter(({ client_message_id }) => client_message_id === `share-${share_id}`)
      expect(messages).toHaveLength(1)
      await eventually('the sender knows', async () => {
        return (await listed(alice)).filter((each) => each.name === name).every(({ status }) => status === 'sent')
      })
    })
  }

  test('a sender that is killed between the contents of a package and its manifest goes on', async () => {
    await alice.start({ crashAt: 'daemon.share.contents-uploaded' })
    await alice.knows(['bob'])
    const directory = join(shared, 'killed-tree')
    mkdirSync(directory)
    const texts = Array.from({ length: 5 }, (_, index) => `${index}: ${makeFile().text}`)
    for (const [index, text] of texts.entries()) writeFileSync(join(directory, `${index}.txt`), text)
    const { share_id } = await share(alice, { path: directory, to: 'bob' })
    await eventually('the sender is dead', () => alice.running.ending?.signal === 'SIGKILL')
    await alice.start()
    await fetched(bob, 'killed-tree')
    for (const [index, text] of texts.entries()) expect(await read(bob, share_id, `${index}.txt`)).toBe(text)
  })

  const arrivals = [
    'daemon.share.received',
    'daemon.share.ingested',
    'daemon.share.finalized',
    'daemon.share.fetched',
    'daemon.share.announced',
  ] as const
  for (const step of arrivals) {
    test(`a recipient that is killed at "${step}" has it once when it is back`, async () => {
      await bob.start({ crashAt: step })
      const { path, name, text } = makeFile(3000)
      const { share_id } = await share(alice, { path, to: 'bob' })
      await eventually('the recipient is dead', () => bob.running.ending?.signal === 'SIGKILL')
      await bob.start()
      await fetched(bob, name)
      expect(await read(bob, share_id)).toBe(text)
      expect((await listed(bob)).filter((each) => each.name === name)).toHaveLength(1)
      await eventually('it is announced', () => announced(bob, name).length > 0)
      expect(announced(bob, name)).toHaveLength(1)
    })
  }

  test('a recipient that is killed between the files of a package has all of it when it is back', async () => {
    await bob.start({ crashAt: 'daemon.share.content-ingested' })
    const directory = join(shared, 'arriving-tree')
    mkdirSync(directory)
    for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), makeFile().text + name)
    const { share_id } = await share(alice, { path: directory, to: 'bob' })
    await eventually('the recipient is dead', () => bob.running.ending?.signal === 'SIGKILL')
    await bob.start()
    await fetched(bob, 'arriving-tree')
    for (const name of ['a', 'b', 'c']) expect(await read(bob, share_id, name)).toMatch(new RegExp(`${name}$`))
  })

  test('a broker that is killed while a file is on its way keeps what it has, and the file arrives', async () => {
    const { path, name, text } = makeFile(200_000)
    await mesh.broker.kill()
    const { share_id } = await share(alice, { path, to: 'bob' })
    for (let kills = 0; kills < 3; kills += 1) {
      await mesh.broker.start()
      await eventually('the sender is connected', async () => (await alice.health())?.link.connected)
      await mesh.broker.kill()
    }
    await mesh.broker.start()
    await fetched(bob, name)
    expect(await read(bob, share_id)).toBe(text)
  }, 120_000)

  test('nothing that was shared, and no key of it, is at the broker', async () => {
    const keys = rowsOf(bob.paths.inboxDatabase, `SELECT meta FROM inbox WHERE meta LIKE '%$files%'`).map(
      (meta) => (JSON.parse(meta) as { $files: SharedFiles }).$files.enc.key,
    )
    expect(keys.length).toBeGreaterThan(10)
    const needles = [...secrets, ...keys].flatMap(formsOf)
    expect(needles.length).toBeGreaterThan(100)
    expect(findAll(needles, filesIn(mesh.broker.data))).toEqual([])
    expect(findAll(needles, filesIn(alice.home)).length, 'the search finds what is there').toBeGreaterThan(0)
  })

  test('a recipient that is killed with most of a large file on its disk fetches the rest of it, and no more', async () => {
    // What has come is recorded after each 32 MiB. So large a file is fetched when somebody reads it.
    const { path, name, text } = makeFile(720_000)
    await bob.start({ crashAt: 'artifacts.spool.recorded' })
    const { share_id } = await share(alice, { path, to: 'bob' })
    await eventually('it is offered', async () => (await listed(bob)).some((each) => each.name === name))
    const before = await downloadedBytes(mesh)
    await expect(read(bob, share_id)).rejects.toThrow()
    await bob.start()
    await bob.knows(['alice'])
    expect((await read(bob, share_id)) === text).toBe(true)
    const fetchedBytes = (await downloadedBytes(mesh)) - before
    expect(fetchedBytes).toBeGreaterThan(text.length)
    expect(fetchedBytes).toBeLessThan(text.length + 8_000_000)
  }, 60_000)

  test('a recipient that is killed when all of a large file has come fetches nothing of it again', async () => {
    const { path, name, text } = makeFile(100_000)
    await bob.start({ crashAt: 'daemon.share.content-spooled' })
    const before = await downloadedBytes(mesh)
    const { share_id } = await share(alice, { path, to: 'bob' })
    await eventually('the recipient is dead', () => bob.running.ending?.signal === 'SIGKILL')
    await bob.start()
    await fetched(bob, name)
    expect((await read(bob, share_id)) === text).toBe(true)
    expect((await downloadedBytes(mesh)) - before).toBeLessThan(text.length * 1.1)
  })
})

/** Bytes of blobs that the broker has sent since it was started. */
async function downloadedBytes({ broker }: TestMesh): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${broker.port}/metrics`)).text()
  return Number(/^cm_broker_blob_bytes_total\{direction="download"\} (\d+)$/m.exec(text)?.[1] ?? 0)
}

/** What readers of events were told of a share. */
function announced(member: TestMember, name: string): readonly string[] {
  const rows = rowsOf(member.paths.eventsDatabase, `SELECT data FROM event WHERE type = 'file_shared'`)
  return rows.filter((data) => (JSON.parse(data) as ShareView).name === name)
}

/** One column of text of a database that a daemon has open. */
function rowsOf(path: string, sql: string): readonly string[] {
  const db = new Database(path, { readonly: true })
  try {
    return db.prepare(sql).pluck().all() as string[]
  } finally {
    db.close()
  }
}
