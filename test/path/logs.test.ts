/** What daemons and brokers write into their logs, at their most talkative: ids and states, no text of anybody and no secret. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { findAll, formsOf } from '../support/plaintext-search.ts'
import { seeded } from '../support/seed.ts'

let mesh: TestMesh
let alice: TestMember
let bob: TestMember

beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
  ;[alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  // In the background, where the log is a file and nothing of it is left out.
  for (const member of mesh.members) {
    const started = member.run(['daemon', 'start'], '', { CLAUDEMESH_LOG_LEVEL: 'trace' })
    expect(started.status, started.stderr).toBe(0)
  }
  for (const member of mesh.members) await member.knows(['alice', 'bob'])
}, 120_000)
afterAll(async () => {
  for (const member of mesh.members) member.run(['daemon', 'stop'])
  await mesh.end()
})

test('no text of a message, file, decision or search and no secret is in any log', { timeout: 120_000 }, async () => {
  const random = seeded()
  const secrets: string[] = []
  const secret = (what: string) => {
    const text = `${what}zq${Math.floor(random.next() * 36 ** 8).toString(36)}zq`
    secrets.push(text)
    return text
  }
  const post = async (path: string, body: unknown, statusMax = 299) => {
    const answer = await alice.request({ method: 'POST', path, body })
    expect(answer.status, `${path}: ${answer.text}`).toBeLessThanOrEqual(statusMax)
    return answer
  }

  // Messages, and requests that are refused for each of their parts.
  bob.cli(['topic', 'subscribe', 'news'])
  const wait = '?wait=30000&until=delivered'
  await post(`/v1/send${wait}`, { to: '@bob', message: secret('body'), meta: { [secret('key')]: secret('value') } })
  await post('/v1/send', { to: '@bob', message: secret('typed'), contentType: secret('type') })
  await post('/v1/send', { to: '@bob', message: secret('field'), [secret('unknown')]: 1 }, 499)
  await post('/v1/send', { to: '@bob', message: { wrong: secret('wrong') } }, 499)
  await post('/v1/send', `{"to":"@bob","message":"${secret('broken')}`, 499)
  await post('/v1/send', { to: '@bob', message: `${secret('large')}${'x'.repeat(80_000)}` }, 499)
  await post('/v1/send', { to: '@bob', message: secret('reserved'), meta: { $reserved: secret('hidden') } }, 499)
  await eventually('the topic is known', async () => {
    return (await alice.request({ method: 'GET', path: '/v1/topic/list' })).text.includes('"news"')
  })
  await post('/v1/topic/post', { topic: 'news', message: secret('posted') })
  await post('/v1/send/batch', [
    { to: '@bob', message: secret('batched') },
    { to: secret('nobody'), message: 'x' },
  ])
  for (const path of [`/v1/inbox/search?q=${secret('sought')}`, `/v1/history/query?text=${secret('queried')}`]) {
    await bob.request({ method: 'GET', path })
  }
  // Files and what they are called, shares, decisions, exports.
  const folder = join(mesh.directory, 'files')
  mkdirSync(folder)
  writeFileSync(join(folder, 'report.txt'), secret('content'))
  alice.cli(['artifact', 'push', folder, '--finalize'])
  alice.cli(['artifact', 'share', join(folder, 'report.txt'), '--to', '@bob'])
  alice.cli(['decision', 'create', 'plans'])
  alice.cli(['decision', 'append', 'plans', 'state', 'database', secret('decided')])
  alice.cli(['sink', 'add', 'nightly', `file://${mesh.directory}/exports`])
  alice.cli(['sink', 'run', 'nightly'])
  await eventually('bob has the share', async () => {
    return (await bob.request({ method: 'GET', path: '/v1/file/list' })).text.includes('report.txt')
  })

  // Secrets of the members, and those that go through the daemon.
  secrets.push(...(JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }).token.split('.'))
  for (const member of mesh.members) {
    const token = readFileSync(member.paths.localToken, 'utf8').trim()
    secrets.push(token, ...privateParts(readFileSync(member.paths.keypair, 'utf8')))
    await member.request({ method: 'GET', path: `/v1/health?token=${token}` })
  }
  alice.cli(['daemon', 'backup', '--out', join(mesh.directory, 'alice.backup')], `${secret('passphrase')}\n`)
  alice.cli(['daemon', 'rotate-keypair'])
  secrets.push(...privateParts(readFileSync(alice.paths.keypair, 'utf8')))

  const logs = [
    ...mesh.members.map(({ name, paths }) => ({ name: `log of ${name}`, bytes: readFileSync(paths.log) })),
    { name: 'output of the broker', bytes: Buffer.from(mesh.broker.running.output) },
    { name: 'log of the broker', bytes: readFileSync(join(mesh.broker.data, 'broker.log')) },
  ]
  for (const event of ['send_accepted', 'share_sent', 'daemon_starting']) {
    expect(logs[0]?.bytes.includes(`"event":"${event}"`), `${event} is told`).toBe(true)
  }
  console.log(
    `logs: ${secrets.length} secrets looked for in ${logs.reduce((sum, { bytes }) => sum + bytes.length, 0)} bytes`,
  )
  expect(findAll(secrets.flatMap(formsOf), logs)).toEqual([])
})

/** The texts of a file of keys that nobody else may have: of a public key there is nothing to hide. */
function privateParts(text: string): readonly string[] {
  const parts: string[] = []
  JSON.parse(text, (name: string, value: unknown) => {
    if (typeof value === 'string' && /seed|private|secret/i.test(name)) parts.push(value)
    return value
  })
  expect(parts.length, 'keys are found').toBeGreaterThan(0)
  return parts
}
