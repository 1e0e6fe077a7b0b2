/** `claudemesh doctor`: each thing that is broken is found, and the command that it names mends it. */
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Condition } from '@claudemesh/protocol'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'
import { ShiftedClock } from '../support/shifted-clock.ts'
import { CommandLine } from './command-line.ts'

let mesh: TestMesh
let alice: TestMember

beforeAll(async () => {
  mesh = await TestMesh.start(['alice'])
  alice = mesh.member('alice')
}, 60_000)
afterAll(() => mesh.end())

interface Said {
  readonly status: number | null
  readonly healthy: boolean
  readonly findings: readonly Condition[]
}

function doctor(env: Readonly<Record<string, string>> = {}): Said {
  const { status, stdout, stderr } = alice.run(['doctor', '--json'], '', env)
  if (stdout === '') throw new Error(`doctor ended with ${status}: ${stderr}`)
  return { status, ...(JSON.parse(stdout) as Omit<Said, 'status'>) }
}

/** Of what is worse than worth knowing. */
function codesOf({ findings }: Said): readonly string[] {
  return findings.filter(({ severity }) => severity !== 'info').map(({ code }) => code)
}

async function expectHealthy(): Promise<void> {
  await eventually('nothing is wrong', () => doctor().healthy)
  expect(alice.run(['doctor'])).toMatchObject({ status: 0, stdout: expect.stringContaining('mesh test: healthy') })
}

test('of a member that is well finds nothing', async () => {
  await expectHealthy()
  expect(doctor()).toMatchObject({ status: 0, healthy: true })
})

test.each([
  { what: 'the keys', path: () => alice.paths.keypair, mode: 0o644 },
  { what: 'the socket', path: () => alice.socket, mode: 0o666 },
  { what: 'the home', path: () => alice.home, mode: 0o755 },
])('$what that others can read are found, and closed by the command that is named', async ({ path, mode }) => {
  chmodSync(path(), mode)
  const said = doctor()
  expect([said.status, codesOf(said)]).toEqual([1, ['open_to_others']])
  const remedy = said.findings.find(({ code }) => code === 'open_to_others')?.remedy ?? ''
  expect(remedy).toContain(path())
  execFileSync('sh', ['-c', remedy.replaceAll('`', '')])
  await expectHealthy()
})

test.each([
  { shiftMs: -20_000, found: [] },
  { shiftMs: 5 * 60_000, found: ['clock_differs'] },
  { shiftMs: 3 * 3_600_000, found: ['clock_far_off'] },
])('a clock that is $shiftMs ms away from the broker: $found', ({ shiftMs, found }) => {
  const clock = new ShiftedClock(mesh.directory, `doctor${shiftMs}`)
  clock.shift(shiftMs, null)
  expect(codesOf(doctor(clock.environment))).toEqual(found)
})

test('a broker that is gone is told of by the daemon, and found to be gone', async () => {
  await alice.send({ to: '@alice', message: 'x', client_message_id: 'lost' }, '?wait=5000&until=accepted')
  await mesh.broker.kill()
  const said = await eventually('the daemon has noticed', () => {
    const now = doctor()
    return codesOf(now).includes('link_down') ? now : null
  })
  expect(codesOf(said)).toEqual(['link_down', 'broker_unreachable'])
  expect(said.findings.find(({ code }) => code === 'broker_unreachable')?.text).toContain(mesh.broker.url)
  await mesh.broker.start()
  await expectHealthy()
})

test('a daemon that is down, or stands still, is told apart, and the command that is named starts it', async () => {
  alice.running.signal('SIGSTOP')
  expect(codesOf(doctor())).toContain('daemon_silent')
  alice.running.signal('SIGCONT')
  await alice.kill()
  const down = doctor()
  expect(codesOf(down)).toEqual(['daemon_down'])
  expect(down.findings[0]?.remedy).toBe(`\`claudemesh daemon start --mesh ${meshSlug}\``)
  await alice.start()
  await expectHealthy()
})

test('what is no mesh file says so before anything is asked of it', () => {
  const line = new CommandLine()
  expect(line.problem(['doctor'])).toMatchObject({ code: 'mesh_not_configured', exitCode: 78 })
})

test('a broker that is not ready, and a TLS certificate that ends soon, are found without a daemon', async () => {
  const certificates = join(import.meta.dirname, '../support/certificates')
  const cert = readFileSync(join(certificates, 'first-cert.pem'))
  const key = readFileSync(join(certificates, 'first-key.pem'))
  const server = https.createServer({ cert, key }, (_, response) => response.writeHead(503).end())
  const line = new CommandLine()
  line.json(['init', '--broker', `wss://localhost:${await listen(server)}`])
  const clock = new ShiftedClock(line.home, 'doctor')
  clock.shift(Date.parse('2126-10-20T00:00:00Z') - Date.now(), null)
  const env = { ...clock.environment, NODE_EXTRA_CA_CERTS: join(certificates, 'first-cert.pem') }
  // This process serves meanwhile, so that it does not wait for the command as for the others.
  const asked = new ManagedProcess(['doctor', '--json'], { CLAUDEMESH_HOME: line.home, ...env })
  expect((await asked.ended).code, asked.output).toBe(1)
  const { findings } = JSON.parse(asked.output) as Pick<Said, 'findings'>
  expect(findings.map(({ code }) => code)).toEqual([
    'daemon_down',
    'broker_not_ready',
    'clock_far_off',
    'tls_certificate_expires',
  ])
})

async function listen(server: https.Server): Promise<number> {
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
