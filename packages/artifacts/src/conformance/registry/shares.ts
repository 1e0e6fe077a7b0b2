/** Shares, step by step, and that their keys are nowhere but in their own place. */
import assert from 'node:assert/strict'
import type { Registry } from '../../registry/registry.ts'
import type { OfferedShare } from '../../shares/share.ts'
import { actor, add, assertViewsAgree, code, make, type RegistryCase } from './scenario.ts'

const peer = 'a'.repeat(64)
const address = `blake3:${'1'.repeat(64)}` as OfferedShare['content']['contentAddress']
const key = Buffer.alloc(32, 0x5a)
const sealed = { blob: { address, sizeBytes: 48 }, contents: null }
const uploaded = { sealed, recipients: [peer], actor }

function offer(o: Partial<OfferedShare> = {}): OfferedShare {
  return {
    shareId: '01K0000000000000000000000A',
    peer,
    clientMessageId: 'share-01K0000000000000000000000A',
    content: {
      name: 'report.txt',
      mediaType: 'text/plain',
      sizeBytes: 16,
      contentAddress: address,
      sha256: '2'.repeat(64),
      manifestDigest: null,
    },
    sealed,
    key,
    expiresAt: null,
    actor: peer,
    ...o,
  }
}

async function create(registry: Registry, o: { message?: string } = {}) {
  const packageId = await make(registry)
  const { fileId } = await add(registry, packageId, 'dir/hello.txt')
  return registry.shares.create({ what: { fileId }, peer, expiresAt: 9_000_000_000_000, actor, ...o })
}

/** Everything that the log and the views say, as text. */
async function told(registry: Registry): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of registry.dumpViews()) parts.push(part)
  for (const { payload } of await registry.auditLog({ limit: 1000 })) parts.push(payload)
  return Buffer.concat(parts).toString('latin1')
}

export const sharesCases: readonly RegistryCase[] = [
  {
    name: 'a share is created, uploaded and sent; each step is recorded once, and the views follow',
    async run({ registry }) {
      const { shareId, ...made } = await create(registry)
      assert.equal(made.status, 'created')
      assert.equal(made.clientMessageId, `share-${shareId}`)
      assert.equal(made.name, 'hello.txt')
      await assertViewsAgree(registry)
      for (let times = 0; times < 2; times += 1) await registry.shares.uploaded(shareId, uploaded)
      await assertViewsAgree(registry)
      assert.deepEqual((await registry.shares.outgoing(shareId)).uploaded, { sealed, recipients: [peer] })
      for (let times = 0; times < 2; times += 1) await registry.shares.sent(shareId, { actor })
      await registry.shares.uploaded(shareId, uploaded)
      assert.equal((await registry.shares.find(shareId)).status, 'sent')
      const types = (await registry.auditLog({ subject: { kind: 'share', id: shareId } })).map(
        ({ event_type }) => event_type,
      )
      assert.deepEqual(types, ['v1.share.created', 'v1.share.uploaded', 'v1.share.sent'])
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'a share of an open package is refused, one of a finalized package names its manifest',
    async run({ registry }) {
      const packageId = await make(registry)
      await add(registry, packageId, 'a')
      const draft = { what: { packageId }, peer, expiresAt: 9_000_000_000_000, actor }
      await assert.rejects(registry.shares.create(draft), code('not_finalized'))
      const { manifestDigest } = await registry.finalizePackage(packageId, { actor })
      const share = await registry.shares.create(draft)
      assert.equal(share.contentAddress, manifestDigest)
      assert.equal(share.fileId, null)
      const { content } = await registry.shares.outgoing(share.shareId)
      assert.equal(content.manifestDigest, manifestDigest)
      await assert.rejects(registry.shares.create({ ...draft, what: { packageId: 'none' } }), code('package_not_found'))
      await assert.rejects(registry.shares.create({ ...draft, what: { fileId: 'none' } }), code('file_not_found'))
      await assert.rejects(registry.shares.find('none'), code('share_not_found'))
    },
  },
  {
    name: 'the key and the words of a share are in no event and no view, and are forgotten when it is done',
    async run({ registry }) {
      const { shareId } = await create(registry, { message: 'the words that go with it' })
      const { secret } = await registry.shares.outgoing(shareId)
      assert.equal(secret?.message, 'the words that go with it')
      const forms = (bytes: Uint8Array) => [
        Buffer.from(bytes).toString('latin1'),
        Buffer.from(bytes).toString('hex'),
        Buffer.from(bytes).toString('base64url'),
      ]
      const secrets = [secret.message, ...forms(secret.key)]
      await registry.shares.uploaded(shareId, uploaded)
      // A rebuilt view is one without it, and the secret is still where it was.
      await registry.replay()
      assert.deepEqual((await registry.shares.outgoing(shareId)).secret?.key, secret.key)
      await registry.shares.sent(shareId, { actor })
      assert.equal((await registry.shares.outgoing(shareId)).secret, null)
      const everything = await told(registry)
      for (const text of secrets) assert.equal(everything.includes(text), false)
    },
  },
  {
    name: 'the same request with the same key is the same share',
    async run({ registry }) {
      const packageId = await make(registry)
      const { fileId } = await add(registry, packageId, 'a')
      const once = { key: 'again', request: { path: 'a' } }
      const draft = { what: { fileId }, peer, expiresAt: 9_000_000_000_000, actor, once }
      assert.equal(await registry.shares.findAnswered(once), null)
      const first = await registry.shares.create(draft)
      assert.deepEqual(await registry.shares.create(draft), first)
      assert.deepEqual(await registry.shares.findAnswered(once), first)
      const other = { key: 'again', request: { path: 'b' } }
      await assert.rejects(registry.shares.create({ ...draft, once: other }), code('idempotency_key_reused'))
      await assert.rejects(registry.shares.findAnswered(other), code('idempotency_key_reused'))
    },
  },
  {
    name: 'a message is taken in once; another one under the id of a share that is here gets an id of its own',
    async run({ registry }) {
      const share = await registry.shares.receive(offer())
      assert.equal(share.shareId, offer().shareId)
      assert.deepEqual(await registry.shares.receive(offer()), share)
      const other = await registry.shares.receive(offer({ peer: 'b'.repeat(64) }))
      assert.notEqual(other.shareId, share.shareId)
      assert.equal((await registry.shares.list({ direction: 'received' })).items.length, 2)
      assert.deepEqual((await registry.shares.incoming(share.shareId)).key, key)
      const packageId = await make(registry)
      const { fileId } = await add(registry, packageId, 'a')
      for (let times = 0; times < 2; times += 1) {
        await registry.shares.fetched(share.shareId, { packageId, fileId, actor })
      }
      const { key: left, share: fetched } = await registry.shares.incoming(share.shareId)
      assert.deepEqual([left, fetched.status, fetched.fileId], [null, 'fetched', fileId])
      await assert.rejects(registry.shares.outgoing(share.shareId), code('share_not_found'))
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'what offers no share is refused, whatever is wrong with it',
    async run({ registry }) {
      const content = offer().content
      const wrong: readonly Partial<OfferedShare>[] = [
        { shareId: '../../etc' },
        { key: Buffer.alloc(31) },
        { expiresAt: -1 },
        { content: { ...content, sizeBytes: 1.5 } },
        { content: { ...content, sha256: 'A'.repeat(64) } },
        { content: { ...content, name: 'a\u0000b' } },
        { content: { ...content, mediaType: 'text' } },
        { content: { ...content, manifestDigest: content.contentAddress } },
        { sealed: { ...sealed, contents: sealed.blob } },
      ]
      for (const o of wrong) await assert.rejects(registry.shares.receive(offer(o)), code('invalid_request'))
      const elsewhere = { ...content, contentAddress: '../../etc/passwd' as typeof address }
      await assert.rejects(registry.shares.receive(offer({ content: elsewhere })), code('invalid_content_address'))
      assert.deepEqual((await registry.shares.list()).items, [])
    },
  },
  {
    name: 'a revoked share makes no step any more and its key is forgotten; one that is fetched is not revoked',
    async run({ registry }) {
      const { shareId } = await create(registry)
      for (let times = 0; times < 2; times += 1) await registry.shares.revoke(shareId, { reason: 'a mistake', actor })
      assert.equal((await registry.shares.outgoing(shareId)).secret, null)
      await assert.rejects(registry.shares.uploaded(shareId, uploaded), code('share_expired'))
      await assert.rejects(registry.shares.sent(shareId, { actor }), code('share_expired'))
      const received = await registry.shares.receive(offer())
      const packageId = await make(registry)
      await registry.shares.fetched(received.shareId, { packageId, fileId: null, actor })
      await assert.rejects(registry.shares.revoke(received.shareId, { actor }), code('invalid_request'))
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'shares are listed page by page, by direction, peer, state and time',
    async run({ registry, clock }) {
      const mine: string[] = []
      for (let count = 0; count < 5; count += 1) {
        clock.now += 1000
        mine.push((await create(registry)).shareId)
      }
      await registry.shares.receive(offer())
      const seen: string[] = []
      for (let after: string | null = ''; after !== null; ) {
        const page = await registry.shares.list({ direction: 'sent', after, limit: 2 })
        seen.push(...page.items.map(({ shareId }) => shareId))
        after = page.next
      }
      assert.deepEqual(seen, mine)
      const since = (await registry.shares.list({ direction: 'sent', since: clock.now })).items
      assert.deepEqual(
        since.map(({ shareId }) => shareId),
        mine.slice(-1),
      )
      assert.equal((await registry.shares.list({ status: 'received' })).items.length, 1)
      assert.equal((await registry.shares.list({ peer })).items.length, 6)
      await assert.rejects(registry.shares.list({ after: 'no id' }), code('invalid_cursor'))
      await assert.rejects(registry.shares.list({ limit: 0 }), code('invalid_request'))
    },
  },
]
