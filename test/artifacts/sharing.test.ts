/** What members share arrives whole or not at all, once, and unread by whoever carries it (06 §17). */
import { randomBytes } from 'node:crypto'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CanonicalMap, decodeCanonical, digestBytes, encodeCanonical, sealBlob } from '@claudemesh/artifacts'
import type { JsonObject, SharedFiles } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { MemoryRelay } from '../support/memory-relay.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { openPeers, type SharingPeer } from '../support/sharing-peers.ts'

const chunkBytes = 64 * 1024

async function twoPeers() {
  const relay = new MemoryRelay()
  const [alice, bob] = (await openPeers(relay, 'alice', 'bob')) as [SharingPeer, SharingPeer]
  return { relay, alice, bob }
}

function fileWith(bytes: Buffer | string, name = 'notes.txt'): string {
  const path = join(scratchDirectory(), name)
  writeFileSync(path, bytes)
  return path
}

async function* bodyOf(...chunks: readonly (string | Buffer)[]) {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

describe('a file', () => {
  for (const sizeBytes of [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes, 700_001]) {
    test(`of ${sizeBytes} bytes arrives as it was sent`, async () => {
      const { relay, alice, bob } = await twoPeers()
      const bytes = randomBytes(sizeBytes)
      const { share, sha256 } = await alice.files.share({ path: fileWith(bytes), to: 'bob' }, null)
      const received = await bob.receivedShare('fetched')
      expect(received).toMatchObject({ shareId: share.shareId, peer: alice.id, name: 'notes.txt', sizeBytes })
      const file = await bob.registry.findFile(received.fileId ?? '')
      expect(file).toMatchObject({ contentAddress: share.contentAddress, sha256, relativePath: 'notes.txt' })
      expect(await bob.read(file.fileId)).toEqual(bytes)
      expect((await alice.files.list({ direction: 'sent' })).items).toMatchObject([{ status: 'sent' }])
      await eventually('the relay is told that it was fetched', () => relay.acknowledged.length === 1)
    })
  }

  test('is announced once, with who shared it and where it is', async () => {
    const { alice, bob } = await twoPeers()
    await alice.files.share({ path: fileWith('hello'), to: 'bob', name: 'greeting.txt' }, null)
    const { shareId, packageId, fileId } = await bob.receivedShare('fetched')
    await eventually('it is announced', () => bob.announced().length > 0)
    expect(bob.announced()).toMatchObject([
      {
        share_id: shareId,
        peer: alice.id,
        peer_name: 'alice',
        name: 'greeting.txt',
        package_id: packageId,
        file_id: fileId,
      },
    ])
    expect(alice.announced()).toEqual([])
  })

  test('goes with the words of its sender, else with words that say what it is', async () => {
    const { alice, bob } = await twoPeers()
    await alice.files.share({ path: fileWith('hello'), to: 'bob', message: 'as you asked' }, null)
    await alice.files.share({ path: fileWith('hello'), to: 'bob' }, null)
    await eventually('both are sent', () => alice.outbox.size === 2)
    const said = [...alice.outbox.values()].map(({ message }) => message)
    expect(said).toEqual(['as you asked', 'shared notes.txt (5 bytes)'])
    expect((await bob.receivedShare('fetched')).status).toBe('fetched')
  })

  test('that is the body of a request is shared as it comes, and again only with the same bytes', async () => {
    const { alice, bob } = await twoPeers()
    const body = (text: string) => ({
      source: bodyOf('he', text),
      mediaType: 'text/plain',
      signal: new AbortController().signal,
    })
    const wishes = { to: 'bob', name: 'a.txt' }
    const first = await alice.files.shareBody(wishes, 'key-1', body('llo'))
    expect(await alice.files.shareBody(wishes, 'key-1', body('llo'))).toMatchObject({
      share: { shareId: first.share.shareId },
      sha256: first.sha256,
    })
    await expect(alice.files.shareBody(wishes, 'key-1', body('lp'))).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    })
    const { fileId } = await bob.receivedShare('fetched')
    expect(String(await bob.read(fileId ?? ''))).toBe('hello')
    expect((await alice.files.list({})).items).toHaveLength(1)
  })

  test('equal bytes shared twice look unrelated to the relay', async () => {
    const { relay, alice } = await twoPeers()
    await alice.files.share({ path: fileWith('the same'), to: 'bob' }, null)
    await alice.files.share({ path: fileWith('the same'), to: 'bob' }, null)
    await eventually('both are uploaded', () => alice.outbox.size === 2)
    const [one, other] = [...relay.blobs.values()] as [Buffer, Buffer]
    expect(relay.blobs.size).toBe(2)
    for (let at = 0; at + 4 <= one.length; at += 4) expect(other.includes(one.subarray(at, at + 4))).toBe(false)
  })

  test('larger than what is fetched by itself waits until it is asked for', async () => {
    const { relay, alice, bob } = await twoPeers()
    bob.autoFetchBytesMax = 4
    await alice.files.share({ path: fileWith('hello'), to: 'bob' }, null)
    const { shareId } = await bob.receivedShare('received')
    expect(relay.starts).toEqual([])
    const [one, other] = await Promise.all([bob.fetcher.fetch(shareId), bob.fetcher.fetch(shareId)])
    expect([one.status, other.fileId]).toEqual(['fetched', one.fileId])
    expect(relay.starts).toEqual([0])
  })

  test('whose upload and download break goes on', async () => {
    const { relay, alice, bob } = await twoPeers()
    const bytes = randomBytes(400_000)
    relay.breaksAfter = 150_000
    await alice.files.share({ path: fileWith(bytes), to: 'bob' }, null)
    await eventually('it is uploaded', () => relay.breaksAfter === null && alice.outbox.size === 1)
    const received = await bob.receivedShare('fetched')
    expect(await bob.read(received.fileId ?? '')).toEqual(bytes)
    relay.breaksAfter = 200_000
    await alice.files.share({ path: fileWith(randomBytes(300_000), 'other'), to: 'bob' }, null)
    await eventually('both are there', async () => {
      return (await bob.files.list({ direction: 'received' })).items.every(({ status }) => status === 'fetched')
    })
  })

  describe('that is large', () => {
    /** A share of 6 MiB whose download has broken off in its fifth. */
    async function brokenOff() {
      const peers = await twoPeers()
      const { relay, alice, bob } = peers
      const bytes = randomBytes(6 * 1024 * 1024)
      bob.autoFetchBytesMax = -1
      await alice.files.share({ path: fileWith(bytes), to: 'bob' }, null)
      const { shareId } = await bob.receivedShare('received')
      relay.breaksAfter = 5_000_000
      await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'broker_unavailable' })
      return { ...peers, bytes, shareId }
    }

    test('is fetched from where the one before has come, and is whole', async () => {
      const { relay, bob, bytes, shareId } = await brokenOff()
      const { fileId } = await bob.fetcher.fetch(shareId)
      expect((await bob.read(fileId ?? '')).equals(bytes)).toBe(true)
      const [first, beginning, rest = 0] = relay.starts
      expect([first, beginning]).toEqual([0, 0])
      expect(rest).toBeGreaterThan(4_900_000)
      expect(relay.starts).toHaveLength(3)
    })

    test('and whose rest was changed meanwhile is share_corrupt, and nothing of it is kept', async () => {
      const { relay, bob, bytes, shareId } = await brokenOff()
      const [[address, whole]] = [...relay.blobs] as [[string, Buffer]]
      relay.change((blob) => Buffer.concat([blob.subarray(0, -1), Buffer.from([(blob.at(-1) ?? 0) ^ 1])]))
      await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_corrupt' })
      const [given] = (await bob.registry.listPackages({ status: 'aborted' })).items
      expect(await bob.registry.listUploads(given?.packageId ?? '')).toEqual([])
      relay.blobs.set(address, whole)
      const { fileId } = await bob.fetcher.fetch(shareId)
      expect((await bob.read(fileId ?? '')).equals(bytes)).toBe(true)
    })
  })

  test('to a topic reaches all who are in it, each with a share of its own', async () => {
    const relay = new MemoryRelay()
    const [alice, bob, carol] = (await openPeers(relay, 'alice', 'bob', 'carol')) as [
      SharingPeer,
      SharingPeer,
      SharingPeer,
    ]
    await alice.files.share({ path: fileWith('to all'), to: '#builds' }, null)
    for (const peer of [bob, carol]) {
      const { fileId } = await peer.receivedShare('fetched')
      expect(String(await peer.read(fileId ?? ''))).toBe('to all')
    }
    expect([...relay.recipients.values()]).toEqual([[bob.id, carol.id]])
    expect((await alice.files.list({ peer: '#builds' })).items).toHaveLength(1)
  })
})

describe('a directory', () => {
  test('arrives as a package with an equal content root: nested, empty and equal files alike', async () => {
    const { relay, alice, bob } = await twoPeers()
    const directory = join(scratchDirectory(), 'tree')
    mkdirSync(join(directory, 'a', 'b'), { recursive: true })
    const files = { 'a/b/deep.txt': 'deep', 'a/one.txt': 'equal', 'empty.txt': '', 'two.txt': 'equal', Ünïcode: 'ü' }
    for (const [path, text] of Object.entries(files)) writeFileSync(join(directory, path), text)
    const { share } = await alice.files.share({ path: directory, to: 'bob' }, null)
    const received = await bob.receivedShare('fetched')
    const [sent, arrived] = await Promise.all([
      alice.registry.getPackage(share.packageId ?? ''),
      bob.registry.getPackage(received.packageId ?? ''),
    ])
    expect(arrived).toMatchObject({ contentRoot: sent.contentRoot, fileCount: 5, status: 'finalized', name: 'tree' })
    // Four contents, the manifest and the list.
    expect(relay.blobs.size).toBe(6)
    for (const { relativePath, fileId } of (await bob.registry.listFiles(arrived.packageId)).items) {
      expect(String(await bob.read(fileId))).toBe(files[relativePath as keyof typeof files])
    }
    await eventually('all of it is acknowledged', () => relay.acknowledged.length === 6)
  })

  test('that is empty arrives too', async () => {
    const { alice, bob } = await twoPeers()
    const directory = join(scratchDirectory(), 'nothing')
    mkdirSync(directory)
    await alice.files.share({ path: directory, to: 'bob' }, null)
    const { packageId } = await bob.receivedShare('fetched')
    expect((await bob.registry.listFiles(packageId ?? '')).items).toEqual([])
  })
})

describe('what is not shared', () => {
  test('anything of the directory of the daemons, by whatever way, and what holds it', async () => {
    const { alice } = await twoPeers()
    const own = join(alice.home, 'db')
    const link = join(scratchDirectory(), 'link')
    symlinkSync(own, link)
    for (const path of [own, join(own, 'inbox.db'), link, join(link, 'inbox.db'), alice.home, '/']) {
      await expect(alice.files.share({ path, to: 'bob' }, null)).rejects.toMatchObject({ code: 'path_forbidden' })
    }
    expect((await alice.files.list({})).items).toEqual([])
    expect((await alice.registry.listPackages({})).items).toEqual([])
  })

  test('what is no regular file, is not there, or is named in no way or in two', async () => {
    const { alice } = await twoPeers()
    const withLink = scratchDirectory()
    symlinkSync('/etc/hostname', join(withLink, 'link'))
    const invalid = ['relative', '/dev/null', '/nowhere/at/all', `${fileWith('x')}\u0000`, withLink]
    for (const path of invalid) {
      await expect(alice.files.share({ path, to: 'bob' }, null)).rejects.toMatchObject({ code: 'invalid_path' })
    }
    for (const what of [{}, { path: fileWith('x'), file_id: '01K0000000000000000000000A' }]) {
      await expect(alice.files.share({ ...what, to: 'bob' }, null)).rejects.toMatchObject({ code: 'invalid_request' })
    }
    for (const name of ['../up', 'a/b', 'con', 'a\u202eb']) {
      const asked = alice.files.share({ path: fileWith('x'), to: 'bob', name }, null)
      await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/^invalid_(path|request)$/) })
    }
    await expect(
      alice.files.share({ path: fileWith('x'), to: 'bob', retention_class: 'no' }, null),
    ).rejects.toMatchObject({ code: 'retention_class_unknown' })
    expect((await alice.files.list({})).items).toEqual([])
  })
})

describe('a relay or a sender who is not honest', () => {
  const flips: Readonly<Record<string, (blob: Buffer) => Buffer>> = {
    'a flipped bit': (blob) => {
      blob[blob.length >> 1] = (blob[blob.length >> 1] ?? 0) ^ 1
      return blob
    },
    'a cut end': (blob) => blob.subarray(0, blob.length - 1),
    'a cut at a chunk': (blob) => blob.subarray(0, 16 + chunkBytes + 16),
    'more at its end': (blob) => Buffer.concat([blob, Buffer.from('x')]),
    'chunks in another order': (blob) => {
      const [first, second] = [16, 16 + chunkBytes + 16]
      const end = second + chunkBytes + 16
      const parts = [
        blob.subarray(0, first),
        blob.subarray(second, end),
        blob.subarray(first, second),
        blob.subarray(end),
      ]
      return Buffer.concat(parts)
    },
    'nothing in it': () => Buffer.alloc(0),
  }
  for (const [what, change] of Object.entries(flips)) {
    test(`ciphertext with ${what} is share_corrupt, and nothing of it is stored`, async () => {
      const { relay, alice, bob } = await twoPeers()
      bob.autoFetchBytesMax = -1
      await alice.files.share({ path: fileWith(randomBytes(3 * chunkBytes)), to: 'bob' }, null)
      const { shareId } = await bob.receivedShare('received')
      const whole = new Map(relay.blobs)
      relay.change(change)
      await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_corrupt' })
      expect((await bob.registry.listPackages({ status: 'finalized' })).items).toEqual([])
      expect(await bob.registry.stats()).toMatchObject({ physicalBytes: 0 })
      expect(bob.announced()).toEqual([])
      // Whoever asks again gets it when it is right.
      for (const [address, blob] of whole) relay.blobs.set(address, blob)
      expect(await bob.fetcher.fetch(shareId)).toMatchObject({ status: 'fetched' })
    })
  }

  const digest = (files: SharedFiles) => ({ ...files, sha256: '0'.repeat(64) })
  const address = (files: SharedFiles) => ({ ...files, content_address: `blake3:${'0'.repeat(64)}` })
  for (const [what, alter] of Object.entries({ digest, address })) {
    test(`an offer that lies about the ${what} is share_corrupt`, async () => {
      const { alice, bob } = await twoPeers()
      bob.autoFetchBytesMax = -1
      alice.alter = (files) => alter(files) as unknown as JsonObject
      await alice.files.share({ path: fileWith('hello'), to: 'bob' }, null)
      const { shareId } = await bob.receivedShare('received')
      await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_corrupt' })
      expect((await bob.registry.listPackages({ status: 'finalized' })).items).toEqual([])
    })
  }

  test('offers of no form that is known, with paths for names, or sizes that cannot be, are no shares', async () => {
    const { alice, bob } = await twoPeers()
    const lies: readonly ((files: SharedFiles) => unknown)[] = [
      (files) => ({ ...files, name: '../../.ssh/authorized_keys' }),
      (files) => ({ ...files, name: 'a/b' }),
      (files) => ({ ...files, name: 'NUL' }),
      (files) => ({ ...files, size_bytes: files.size_bytes + 1 }),
      (files) => ({ ...files, size_bytes: -1 }),
      (files) => ({ ...files, share_id: '../x' }),
      (files) => ({ ...files, v: 2 }),
      (files) => ({ ...files, more: 1 }),
      (files) => ({ ...files, media_type: 'text/html; charset=x' }),
      (files) => ({ ...files, manifest_digest: files.content_address }),
      (files) => ({ ...files, enc: { ...files.enc, key: 'short' } }),
      (files) => ({ ...files, enc: { ...files.enc, alg: 'none' } }),
      (files) => [files],
      () => 'text',
      () => null,
    ]
    const path = fileWith('hello')
    for (const [index, lie] of lies.entries()) {
      alice.alter = (files) => lie(files) as JsonObject
      await alice.files.share({ path, to: 'bob' }, null)
      await eventually('it is told', () => alice.outbox.size === index + 1)
    }
    alice.alter = (files) => files as unknown as JsonObject
    const { share } = await alice.files.share({ path, to: 'bob' }, null)
    await eventually('the honest one is fetched', async () => {
      return (await bob.files.list({ direction: 'received' })).items.some(({ status }) => status === 'fetched')
    })
    expect((await bob.files.list({})).items.map(({ shareId }) => shareId)).toEqual([share.shareId])
    expect(bob.inbox.counts().messages).toBe(lies.length + 1)
    expect(bob.inbox.offers.waiting(10)).toEqual([])
  })

  test('the same message twice is one share; the id of a share to somebody else does not keep it from arriving', async () => {
    const relay = new MemoryRelay()
    const [alice, bob, mallory] = (await openPeers(relay, 'alice', 'bob', 'mallory')) as [
      SharingPeer,
      SharingPeer,
      SharingPeer,
    ]
    await alice.files.share({ path: fileWith('hello'), to: 'mallory' }, null)
    await mallory.receivedShare('fetched')
    const { clientMessageId, files } = [...alice.outbox.values()][0] as { clientMessageId: string; files: SharedFiles }
    bob.deliver(mallory, clientMessageId, { ...files, sha256: '0'.repeat(64) } as unknown as JsonObject)
    bob.deliver(alice, clientMessageId, files as unknown as JsonObject)
    bob.deliver(alice, clientMessageId, files as unknown as JsonObject)
    const share = await bob.receivedShare('fetched')
    expect(share.peer).toBe(alice.id)
    expect((await bob.files.list({ peer: alice.id })).items).toHaveLength(1)
    expect((await bob.files.list({ peer: mallory.id })).items).toMatchObject([{ status: 'received' }])
  })
})

describe('a package of a sender who is not honest', () => {
  interface Forged {
    manifest: CanonicalMap
    list: unknown
    contents: Record<string, Buffer>
    offer: Record<string, unknown>
  }
  const one = `blake3:${digestBytes(Buffer.from('one')).primary.hex}`
  const forgeries: Readonly<Record<string, (forged: Forged) => void>> = {
    'a path that leads out of it': ({ manifest }) => {
      const [file] = manifest['files'] as { relative_path: string }[]
      if (file !== undefined) file.relative_path = '../../../out'
    },
    'a size that is not its own': ({ offer }) => {
      offer['size_bytes'] = 1
    },
    'a manifest that is none': (forged) => {
      forged.manifest = { no: 'manifest' }
    },
    'a list without a content of it': (forged) => {
      forged.list = []
    },
    'a list that is none': (forged) => {
      forged.list = { a: 'list' }
    },
    'a list with a size that cannot be': (forged) => {
      const [row] = forged.list as [[string, string, number]]
      row[2] = 10_000_000
    },
    'another content in the place of one': ({ contents }) => {
      contents[one] = Buffer.from('two')
    },
  }
  for (const [what, forge] of Object.entries(forgeries)) {
    test(`with ${what} is share_corrupt, and nothing of it is kept`, async () => {
      const { relay, alice, bob } = await twoPeers()
      bob.autoFetchBytesMax = -1
      const key = randomBytes(32)
      const put = async (bytes: Uint8Array) => {
        const source = async function* () {
          yield bytes
        }
        const secret = { key, nonce: randomBytes(16) }
        const chunks: Uint8Array[] = []
        for await (const chunk of sealBlob({ secret, sizeBytes: bytes.length, read: source })) chunks.push(chunk)
        const blob = Buffer.concat(chunks)
        const address = `blake3:${digestBytes(blob).primary.hex}`
        relay.blobs.set(address, blob)
        return { address, size_bytes: blob.length }
      }
      const honest = await alice.registry.createPackage({
        name: 'p',
        producer: alice.id,
        retentionClass: 'transient',
        actor: 'local',
      })
      const place = { relativePath: 'one.txt', mediaType: 'text/plain', actor: 'local' }
      await alice.registry.ingestFile(honest.packageId, { ...place, source: bodyOf('one') })
      await alice.registry.finalizePackage(honest.packageId, { actor: 'local' })
      const manifest = decodeCanonical(await alice.registry.getManifestBytes(honest.packageId, 'cbor')) as CanonicalMap
      const forged: Forged = {
        manifest: structuredClone(manifest) as CanonicalMap,
        contents: { [one]: Buffer.from('one') },
        list: [[one, `blake3:${'0'.repeat(64)}`, 3 + 16 + 16]],
        offer: { size_bytes: 3 },
      }
      forge(forged)
      const content = await put(forged.contents[one] ?? Buffer.alloc(0))
      const [row] = Array.isArray(forged.list) ? (forged.list as [string, string, number][]) : []
      if (row !== undefined) row[1] = content.address
      const bytes = encodeCanonical(forged.manifest)
      const { primary, sha256 } = digestBytes(bytes)
      const contents = await put(encodeCanonical(forged.list as CanonicalMap))
      const enc = { alg: 'age-stream-v1', key: key.toString('base64url'), ...(await put(bytes)), contents }
      const digests = {
        content_address: `blake3:${primary.hex}`,
        sha256: sha256.hex,
        manifest_digest: `blake3:${primary.hex}`,
      }
      const named = { v: 1, share_id: '01K0000000000000000000000B', name: 'p', media_type: 'application/x-p' }
      bob.deliver(alice, 'share-forged', { ...named, ...digests, enc, ...forged.offer } as unknown as JsonObject)
      const { shareId } = await bob.receivedShare('received')
      await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_corrupt' })
      for (const status of ['created', 'finalized']) {
        expect((await bob.registry.listPackages({ status })).items).toEqual([])
      }
    })
  }
})

describe('a disk budget without room', () => {
  test('takes nothing in to share it, and fetches what is shared when there is room', async () => {
    const { alice, bob } = await twoPeers()
    alice.roomBytes = 4
    const full = { code: 'insufficient_storage' }
    await expect(alice.files.share({ path: fileWith('hello'), to: 'bob' }, null)).rejects.toMatchObject(full)
    expect((await alice.files.list({})).items).toEqual([])
    alice.roomBytes = 100
    bob.autoFetchBytesMax = -1
    bob.roomBytes = 4
    await alice.files.share({ path: fileWith('hello'), to: 'bob' }, null)
    const { shareId } = await bob.receivedShare('received')
    await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject(full)
    bob.autoFetchBytesMax = 10
    bob.fetcher.wake()
    await eventually('it is known that it waits', () => bob.fetcher.failure?.code === full.code)
    bob.roomBytes = 100
    // An attempt that began without room may still be under way, and is joined.
    await eventually('it is fetched', async () => {
      const share = await bob.fetcher.fetch(shareId).catch(() => null)
      return share?.status === 'fetched'
    })
    bob.fetcher.wake()
    await eventually('nothing waits any more', () => bob.fetcher.failure === null)
    expect(bob.fetcher.totals).toEqual({ fetched: 1, not_fetched: 0 })
    expect([alice.roomBytes, bob.roomBytes]).toEqual([95, 95])
  })
})

describe('a share that is over', () => {
  test('is share_expired, and one that was not sent in time is given up', async () => {
    const { relay, alice, bob } = await twoPeers()
    bob.autoFetchBytesMax = -1
    await alice.files.share({ path: fileWith('hello'), to: 'bob', expires_in: 60 }, null)
    const { shareId } = await bob.receivedShare('received')
    bob.clock.now += 61_000
    await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_expired' })
    bob.clock.now -= 61_000
    relay.blobs.clear()
    await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_expired' })
  })

  test('that is revoked before it was sent is not sent; on the other side it is not fetched any more', async () => {
    const { alice, bob } = await twoPeers()
    bob.autoFetchBytesMax = -1
    await alice.files.share({ path: fileWith('hello'), to: 'bob' }, null)
    const { shareId } = await bob.receivedShare('received')
    expect(await bob.files.revoke(shareId, 'not wanted')).toMatchObject({ status: 'revoked' })
    await expect(bob.fetcher.fetch(shareId)).rejects.toMatchObject({ code: 'share_expired' })
    await alice.sender.stop()
    const { share } = await alice.files.share({ path: fileWith('more'), to: 'bob' }, null)
    expect(await alice.files.revoke(share.shareId, undefined)).toMatchObject({ status: 'revoked' })
    expect(alice.outbox.size).toBe(1)
  })
})
