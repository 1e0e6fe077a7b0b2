/** The daemon as it is shipped, when the broker closes its connection with a code that says why (02 §7). */
import type { OutboxDetail } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import type { TestMember, TestMesh } from '../support/mesh.ts'
import type { ScriptedBroker, ScriptedConnection } from '../support/scripted-broker.ts'
import { startScriptedMesh } from '../support/scripted-directory.ts'

const featureFault = { feature: 'client_message_id_dedupe', detail: 'told by the test' }

/** Codes after which trying again would meet the same answer, with the exit codes by sysexits. */
const endings: readonly { code: number; name: string; exitCode: number; says: RegExp }[] = [
  { code: 4005, name: 'member_revoked', exitCode: 77, says: /told by the test/ },
  { code: 4010, name: 'feature_unavailable', exitCode: 69, says: /client_message_id_dedupe: told by the test/ },
  { code: 4011, name: 'feature_param_invalid', exitCode: 69, says: /client_message_id_dedupe: told by the test/ },
  { code: 4012, name: 'feature_param_below_floor', exitCode: 69, says: /client_message_id_dedupe: told by the test/ },
]

describe('a daemon whose broker closes the connection with', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bobId: string
  let broker: ScriptedBroker

  beforeAll(async () => {
    ;({ mesh, broker, alice, bobId } = await startScriptedMesh())
  }, 60_000)

  afterAll(async () => {
    await broker.stop()
    await mesh.end()
  })

  /** A daemon with a connection on which one message is on its way. */
  async function connect(key: string): Promise<ScriptedConnection> {
    await alice.start()
    const connection = await broker.accepted()
    expect(await alice.send({ to: bobId, message: key, client_message_id: key })).toMatchObject({ status: 202 })
    await connection.next('send')
    return connection
  }

  for (const { code, name, exitCode, says } of endings) {
    test(`${code} ${name} leaves with ${exitCode}, takes back what was on its way, and the status tells why`, async () => {
      const key = `before-${code}`
      const connection = await connect(key)
      connection.socket.close(code, JSON.stringify({ kind: name, ...featureFault }))
      expect(await alice.running.ended).toEqual({ code: exitCode, signal: null })

      const status = daemonStatus(alice)
      expect(status).toMatch(new RegExp(`not running\\nit left at .* with ${name}: .*${code} ${name}`))
      expect(status).toMatch(says)

      await alice.start()
      await (await broker.accepted()).next('send')
      const { row } = (await alice.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail
      // Taken back in good order before the process left: its next start had nothing to recover.
      expect(row).toMatchObject({ status: 'inflight', attempts: 1, last_error: expect.stringMatching(/^disconnected/) })
      expect(alice.running.output).not.toContain('outbox_recovered')
      await alice.kill()
    })
  }

  test('4003 replaced_by_newer_connection stays, says so, and does not fight the other host', async () => {
    const connection = await connect('before-4003')
    const before = broker.count
    connection.socket.close(4003, JSON.stringify({ kind: 'replaced_by_newer_connection', detail: 'another host' }))
    const health = await eventually('the conflict is told', async () => {
      const found = await alice.health()
      return found?.link.state === 'conflicted' && found
    })
    expect(health).toMatchObject({ status: 'degraded', link: { connected: false } })
    expect(health.conditions.map((condition) => condition.code)).toContain('identity_conflict')
    expect(daemonStatus(alice)).toContain('Another host is connected with the keys of this member')
    expect(broker.count).toBe(before)
    expect(alice.running.ending).toBeNull()
    const delays = [...alice.running.output.matchAll(/"to":"conflicted".*?"delay_ms":(\d+)/g)].map(([, ms]) =>
      Number(ms),
    )
    expect(delays).toHaveLength(1)
    expect(delays[0]).toBeGreaterThanOrEqual(5_000)
    await alice.kill()
  })
})

/** What `claudemesh daemon status` prints about a daemon that is not well; its exit code says that it is not. */
function daemonStatus(member: TestMember): string {
  try {
    member.cli(['daemon', 'status'])
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('the status of this daemon is said to be healthy')
}
