/** Who gets in, and who does not (05 §2, 02 §7 and §8). */
import { originOf } from '@claudemesh/identity'
import { createIdSource, negotiate } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { type Runtime, systemRuntime } from '../../apps/broker/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { type RawBroker, startBroker } from '../support/raw-broker.ts'
import { type Closing, type HelloChanges, makeHello, message, RawMember } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'

const nextId = createIdSource(() => Date.now())

describe('a hello', () => {
  test('of a member is welcomed, and registers its mesh', async () => {
    const { url } = await startBroker()
    const member = RawMember.dial(url)
    const welcome = await member.greet(url, new RawMesh().founder)
    expect(welcome.limits.inflight_messages).toBeGreaterThan(0)
    expect((await member.negotiate()).missing_required).toEqual([])
  })

  const mesh = new RawMesh()
  const stranger = new RawMesh({ meshId: mesh.mesh.mesh_id }).founder
  const other = mesh.join('other')
  const refused: readonly {
    readonly what: string
    readonly changes: (url: string) => HelloChanges
    readonly identity?: MemberIdentity
    readonly kind: string
  }[] = [
    { what: 'with a wrong signature', changes: () => ({ signature: 'A'.repeat(86) }), kind: 'signature_invalid' },
    {
      what: 'made for another broker',
      changes: () => ({ origin: 'wss://elsewhere.example:443' }),
      kind: 'origin_unknown',
    },
    {
      what: "made for another broker and relayed under this one's name",
      changes: (url) => ({ origin: originOf(url), signedOrigin: 'wss://elsewhere.example:443' }),
      kind: 'signature_invalid',
    },
    { what: 'with the chain of somebody else', changes: () => ({ chain: other.chain }), kind: 'chain_invalid' },
    { what: 'under the id of somebody else', changes: () => ({ memberId: other.memberId }), kind: 'chain_invalid' },
    { what: 'rooted in another key', changes: () => ({ chain: stranger.chain }), kind: 'chain_invalid' },
    { what: "of a mesh that has taken this one's id", identity: stranger, changes: () => ({}), kind: 'mesh_conflict' },
    {
      what: 'with a mesh record that its key did not sign',
      identity: { ...mesh.founder, mesh: { ...mesh.mesh, slug: 'other' } },
      changes: () => ({}),
      kind: 'mesh_record_invalid',
    },
  ]
  for (const { what, changes, identity, kind } of refused) {
    test(`${what} is closed 4001`, async () => {
      const { url } = await startBroker()
      await (await RawMember.connect(url, mesh.founder)).close()
      expect(await refusalOf({ url, identity: identity ?? mesh.founder, changes: changes(url) })).toMatchObject({
        code: 4001,
        reason: { kind },
      })
    })
  }

  test('that was said before is worth nothing on another connection', async () => {
    const { url } = await startBroker()
    const first = RawMember.dial(url)
    const { nonce } = await first.next('challenge')
    const hello = makeHello({ url, nonce, identity: mesh.founder })
    first.send(hello)
    await first.next('welcome')
    const second = RawMember.dial(url)
    await second.next('challenge')
    second.send(hello)
    expect(await second.closing()).toMatchObject({ code: 4001, reason: { kind: 'signature_invalid' } })
  })

  test('that answers a nonce older than 30 s is stale', async () => {
    const clock = steppingRuntime()
    const { url } = await startBroker({}, clock)
    const member = RawMember.dial(url)
    const { nonce } = await member.next('challenge')
    clock.advance(30_001)
    member.send(makeHello({ url, nonce, identity: mesh.founder }))
    expect(await member.closing()).toMatchObject({ code: 4001 })
  })

  test('is asked for within 30 s', async () => {
    const clock = steppingRuntime()
    const { url } = await startBroker({}, clock)
    const member = RawMember.dial(url)
    await member.next('challenge')
    clock.advance(31_000)
    expect(await member.closing()).toMatchObject({ code: 4001, reason: { kind: 'handshake_timeout' } })
  })

  test('of an unknown mesh is refused where registration is closed', async () => {
    const { url } = await startBroker({ registration: 'closed' })
    expect(await refusalOf({ url, identity: mesh.founder })).toMatchObject({
      code: 4001,
      reason: { kind: 'mesh_unknown' },
    })
  })

  test('under a public URL is welcomed', async () => {
    const { url } = await startBroker({ publicUrls: ['wss://mesh.example/v1/ws'] })
    const member = RawMember.dial(url)
    await member.greet(url, mesh.founder, { origin: 'wss://mesh.example:443' })
  })
})

describe('an invite', () => {
  test('lets in as many members as it says, and them again and again', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const token = mesh.invite({ uses: 1 })
    const first = mesh.join('first', token)
    await (await RawMember.connect(url, first)).close()
    expect(await refusalOf({ url, identity: mesh.join('second', token) })).toMatchObject({
      code: 4001,
      reason: { kind: 'invite_used_up' },
    })
    await RawMember.connect(url, first)
  })

  test('that has expired lets nobody in, whatever date the joiner wrote', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const token = mesh.invite({ notBefore: Date.now() - 100_000, notAfter: Date.now() - 50_000 })
    const backdated = mesh.join('late', token, Date.now() - 60_000)
    expect(await refusalOf({ url, identity: backdated })).toMatchObject({
      code: 4001,
      reason: { kind: 'invite_expired' },
    })
  })

  test('that has expired lets nobody in behind an admin that it never let in', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const token = mesh.invite({ role: 'admin', notBefore: Date.now() - 100_000, notAfter: Date.now() - 50_000 })
    const backdated = mesh.join('late', token, Date.now() - 60_000)
    const behind = mesh.join('behind', mesh.invite({ issuer: backdated, role: 'admin' }))
    expect(await refusalOf({ url, identity: behind })).toMatchObject({
      code: 4001,
      reason: { kind: 'invite_expired' },
    })
  })
})

describe('before the negotiation is over', () => {
  test('no other frame is taken, and the third ends the connection', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const member = RawMember.dial(url)
    await member.greet(url, mesh.founder)
    for (let n = 0; n < 3; n += 1) {
      member.send({ type: 'send', items: [message({ to: { kind: 'dm', ref: mesh.founder.memberId } })] })
      expect(await member.next('error')).toMatchObject({ code: 'invalid_frame' })
    }
    expect(await member.closing()).toMatchObject({ code: 1008, reason: { kind: 'invalid_frame' } })
  })

  test('a frame before the hello is refused, and a good hello after it still counts', async () => {
    const { url } = await startBroker()
    const member = RawMember.dial(url)
    member.socket.once('open', () => member.sendText('{"type":"request","request_id":"1","op":"x","params":{}}'))
    expect(await member.next('error')).toMatchObject({ code: 'invalid_frame' })
    await member.greet(url, new RawMesh().founder)
  })

  test('a client without the subprotocol gets no socket, and another path is not there', async () => {
    const { url } = await startBroker()
    const other = RawMember.dial(url.replace('/v1/ws', '/v2/ws'))
    expect(await other.closing()).toMatchObject({ code: 1006 })
  })
})

describe('the negotiation', () => {
  test('offers what a daemon requires, with the parameters of the mesh', async () => {
    const { url } = await startBroker()
    const member = RawMember.dial(url)
    await member.greet(url, new RawMesh().founder)
    const { supported } = await member.negotiate()
    const required = ['client_message_id_dedupe', 'concurrent_connection_policy', 'max_payload', 'mention_index']
    expect(negotiate(required, supported)).toMatchObject({
      ok: true,
      warnings: [],
      agreement: { dedupe: { mode: 'retention_scoped', retentionDays: 30 } },
    })
  })

  test('says permanent without a number of days, and a number below the floor as it is', async () => {
    for (const { settings, outcome } of [
      { settings: { dedupeMode: 'permanent' }, outcome: { ok: true, agreement: { dedupe: { mode: 'permanent' } } } },
      {
        settings: { dedupeRetentionDays: 3, messageRetentionDays: 3 },
        outcome: { ok: false, refusal: { kind: 'feature_param_below_floor' } },
      },
    ] as const) {
      const { url } = await startBroker({ settings: { ...defaultSettings, ...settings } })
      const member = RawMember.dial(url)
      await member.greet(url, new RawMesh().founder)
      const { supported } = await member.negotiate()
      expect(negotiate(['client_message_id_dedupe'], supported)).toMatchObject(outcome)
    }
  })

  test('ends with 4010 and says which feature is missing', async () => {
    const { url } = await startBroker({ relay: null })
    const member = RawMember.dial(url)
    await member.greet(url, new RawMesh().founder)
    expect((await member.negotiate(['mention_index', 'artifact_relay'])).missing_required).toEqual(['artifact_relay'])
    expect(await member.closing()).toMatchObject({
      code: 4010,
      reason: { kind: 'feature_unavailable', feature: 'artifact_relay' },
    })
  })
})

describe('a member that connects twice', () => {
  test('prefers the newest: the old connection is closed 4003', async () => {
    const { url, first, second } = await connectTwice(await startBroker())
    expect(await first.closing()).toMatchObject({ code: 4003 })
    await second.negotiate()
    await second.settled()
    expect(url).toBeDefined()
  })

  test('prefers the oldest where the mesh says so: the new one is closed 4004', async () => {
    const broker = await startBroker({ settings: { ...defaultSettings, concurrencyPolicy: 'prefer_oldest' } })
    const mesh = new RawMesh()
    const first = await RawMember.connect(broker.url, mesh.founder)
    expect(await refusalOf({ url: broker.url, identity: mesh.founder })).toMatchObject({ code: 4004 })
    await first.settled()
  })

  test('keeps both where the mesh says so, and gets each message on one of them', async () => {
    const broker = await startBroker({ settings: { ...defaultSettings, concurrencyPolicy: 'allow_concurrent' } })
    const { founder, first, second } = await connectTwice(broker)
    await second.negotiate()
    const items = Array.from({ length: 20 }, () => message({ to: { kind: 'dm', ref: founder.memberId } }))
    await first.post(items)
    const received = () => [...first.pending('deliver'), ...second.pending('deliver')].flatMap((frame) => frame.items)
    await eventually('all have arrived', () => received().length >= items.length)
    await Promise.all([first.settled(), second.settled()])
    expect(new Set(received().map((item) => item.delivery_id)).size).toBe(items.length)
    expect(received()).toHaveLength(items.length)
  })

  test('with one instance id is one process that came back: no conflict under any policy', async () => {
    for (const concurrencyPolicy of ['prefer_newest', 'prefer_oldest', 'allow_concurrent'] as const) {
      const { url } = await startBroker({ settings: { ...defaultSettings, concurrencyPolicy } })
      const mesh = new RawMesh()
      const instanceId = nextId()
      const first = await RawMember.connect(url, mesh.founder, { instanceId })
      const second = await RawMember.connect(url, mesh.founder, { instanceId })
      expect(await first.closing()).toMatchObject({ code: 1006 })
      await second.settled()
    }
  })
})

const defaultSettings = {
  dedupeMode: 'retention_scoped',
  dedupeRetentionDays: 30,
  messageRetentionDays: 30,
  concurrencyPolicy: 'prefer_newest',
  blobQuotaBytes: 1_000_000,
} as const

/** The second connection has been welcomed and has not negotiated. */
async function connectTwice(broker: RawBroker) {
  const { founder } = new RawMesh()
  const first = await RawMember.connect(broker.url, founder)
  const second = RawMember.dial(broker.url)
  await second.greet(broker.url, founder)
  return { url: broker.url, founder, first, second }
}

async function refusalOf(options: {
  readonly url: string
  readonly identity: MemberIdentity
  readonly changes?: HelloChanges
}): Promise<Closing> {
  const { url, identity, changes = {} } = options
  const member = RawMember.dial(url)
  const { nonce } = await member.next('challenge')
  member.send(makeHello({ url, nonce, identity, ...changes }))
  return member.closing()
}

/** The clocks of this machine, which a test moves on. */
function steppingRuntime(): Runtime & { advance(ms: number): void } {
  const runtime = systemRuntime()
  let offset = 0
  return {
    now: () => runtime.now() + offset,
    monotonicMs: () => runtime.monotonicMs() + offset,
    nextId: () => runtime.nextId(),
    advance: (ms) => {
      offset += ms
    },
  }
}
