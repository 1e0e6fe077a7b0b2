/**
 * Who may append to a space (07 §4): a ref leads to the record of the one lease there is.
 *
 * 1. A lease is granted by comparing the ref with what was read, and its epoch grows with every grant.
 * 2. Clocks decide when another may be granted, with an allowance. Whether an append counts is decided by the ref alone: the
 *    change that moves the log compares it.
 * 3. A record is a pack of its own that is durable before the ref leads to it, as events are.
 */
import { canonicalJson, type JsonValue, MeshError } from '@claudemesh/protocol'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { checkSpaceName } from '../event.ts'
import type { Runtime } from '../runtime.ts'
import { type GitObject, makeObject } from './git-object.ts'
import type { ObjectReader } from './object-reader.ts'
import type { PackWriter, WrittenPack } from './pack-writer.ts'
import type { RefOutcome, RefStep, RefWriter } from './ref-writer.ts'
import { listRefs, type Repository } from './repository.ts'

/** Who asks for a lease. */
export interface LeaseRequest {
  /** 1 to 128 visible ASCII characters, another one for each process. */
  readonly holder: string
  /** The Unix socket that takes appends for the holder; null when there is none. */
  readonly socket: string | null
  /** Milliseconds. */
  readonly termMs: number
}

const recordSchema = Type.Object(
  {
    space: Type.String(),
    holder: Type.String({ pattern: '^[\\x21-\\x7e]{1,128}$' }),
    /** The fencing token. */
    epoch: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    /** RFC 3339, UTC. */
    granted_at: Type.String(),
    expires_at: Type.String(),
    /** Given up before its term. */
    released: Type.Boolean(),
    socket: Type.Union([Type.String(), Type.Null()]),
  },
  { additionalProperties: false },
)

/** A lease as its record says. */
export type LeaseRecord = Static<typeof recordSchema>

/** A record and its object. */
export interface Lease {
  readonly record: LeaseRecord
  /** Hexadecimal. */
  readonly id: string
}

/** A lease that this process was granted, as it was granted or renewed last. */
export interface HeldLease {
  lease: Lease
  /** The pack of its record alone; null where the record came with decisions. */
  pack: WrittenPack | null
}

/** A lease that is granted by the change that logs it. */
export interface LeaseChange {
  readonly ref: string
  readonly from: string | null
  readonly object: GitObject
}

/** What the parts of a log lend to its leases. */
interface LeaseStore {
  readonly repository: Repository
  readonly reader: ObjectReader
  readonly packs: PackWriter
  readonly refs: RefWriter
  readonly runtime: Runtime
}

/** By how much the clocks of two hosts may differ. */
export const clockSkewMsMax = 2_000

const validator = Compile(recordSchema)

export class Leases {
  readonly #store: LeaseStore

  constructor(store: LeaseStore) {
    this.#store = store
  }

  /** The last lease of a space, whatever became of it; null when there was none. @throws MeshError `storage_failed` */
  async read(space: string): Promise<Lease | null> {
    checkSpaceName(space)
    const [found] = await this.#store.reader.contents([refOf(space)])
    if (found === undefined || found === null) return null
    const record = parseRecord(found.body)
    if (record === null || record.space !== space) {
      throw new MeshError('storage_failed', { detail: `${refOf(space)} leads to no lease of ${space}.` })
    }
    return { record, id: found.id }
  }

  /** The names of all spaces that there was ever a lease of, in order. @throws MeshError `storage_failed` */
  async spaces(): Promise<readonly string[]> {
    return [...(await listRefs(this.#store.repository, leaseRefPrefix)).keys()]
  }

  /** Whether somebody holds it: not given up, and not past its term and the allowance. */
  isHeld({ record }: Lease): boolean {
    return !record.released && this.#store.runtime.now() <= Date.parse(record.expires_at) + clockSkewMsMax
  }

  /**
   * Grants a lease that is free, past its term, or the caller's own.
   *
   * @throws MeshError `lease_held` with who has it, `lease_lost` when somebody else was granted it in this moment,
   *   `space_busy`, `insufficient_storage`, `storage_failed`
   */
  async acquire(space: string, request: LeaseRequest): Promise<HeldLease> {
    const last = await this.read(space)
    if (last !== null && this.isHeld(last) && last.record.holder !== request.holder) throw leaseHeld(last)
    return this.#put(last, this.#grant(space, last, request))
  }

  /**
   * Begins the term of a held lease anew.
   *
   * @throws MeshError `lease_lost`, `space_busy`, `insufficient_storage`, `storage_failed`
   */
  async renew(held: HeldLease, termMs: number): Promise<void> {
    const expires = new Date(this.#store.runtime.now() + termMs).toISOString()
    await this.#replace(held, { ...held.lease.record, expires_at: expires })
  }

  /** Gives a lease up: whoever asks next is granted it. @throws as `renew` does */
  async release(held: HeldLease): Promise<void> {
    await this.#replace(held, { ...held.lease.record, released: true })
  }

  /** The change that grants a lease whoever holds it, for who logs it in the same one. */
  async seizure(
    space: string,
    request: LeaseRequest,
  ): Promise<{ readonly held: HeldLease; readonly change: LeaseChange }> {
    const last = await this.read(space)
    const record = this.#grant(space, last, request)
    const object = this.#objectOf(record)
    const held = { lease: { record, id: object.id.toString('hex') }, pack: null }
    return { held, change: { ref: refOf(space), from: last?.id ?? null, object } }
  }

  /**
   * What a change of the log must compare: the lease of who appends, or that nobody holds one.
   *
   * @throws MeshError `lease_lost`, `lease_held`
   */
  async fence(space: string, held: HeldLease | null): Promise<RefStep> {
    const last = await this.read(space)
    if (held === null) {
      if (last !== null && this.isHeld(last)) throw leaseHeld(last)
      return { ref: refOf(space), from: last?.id ?? null }
    }
    if (last?.record.epoch !== held.lease.record.epoch || last.record.released) throw leaseLost(space, last)
    return { ref: refOf(space), from: last.id }
  }

  /**
   * Changes refs under a lease, or while nobody holds one. A lease that was renewed in this moment is compared anew.
   *
   * @throws MeshError as `fence` says, `storage_failed`, `insufficient_storage`
   */
  async change(space: string, held: HeldLease | null, steps: readonly RefStep[]): Promise<RefOutcome> {
    for (;;) {
      const fence = await this.fence(space, held)
      const outcome = await this.#store.refs.change([fence, ...steps])
      if (outcome.kind !== 'moved' || ((await this.read(space))?.id ?? null) === fence.from) return outcome
    }
  }

  /** @throws MeshError `lease_lost` when the last lease is another one */
  async checkUnchanged(space: string, id: string | null): Promise<void> {
    const last = await this.read(space)
    if ((last?.id ?? null) !== id) throw leaseLost(space, last)
  }

  #grant(space: string, last: Lease | null, { holder, socket, termMs }: LeaseRequest): LeaseRecord {
    const now = this.#store.runtime.now()
    return {
      space,
      holder,
      epoch: (last?.record.epoch ?? 0) + 1,
      granted_at: new Date(now).toISOString(),
      expires_at: new Date(now + termMs).toISOString(),
      released: false,
      socket,
    }
  }

  #objectOf(record: LeaseRecord) {
    if (!validator.Check(record))
      throw new MeshError('invalid_request', { detail: 'A holder is 1 to 128 visible ASCII characters.' })
    const text = `${canonicalJson(record as unknown as JsonValue)}\n`
    return makeObject(this.#store.repository.format, 'blob', Buffer.from(text))
  }

  /** Nothing leads to the record before any more, which would be there for every renewal there ever was. */
  async #replace(held: HeldLease, record: LeaseRecord): Promise<void> {
    const { lease, pack } = held
    const next = await this.#put(lease, record)
    Object.assign(held, next)
    // Twice in a millisecond is the same record.
    if (next.lease.id !== lease.id) await pack?.remove()
  }

  async #put(last: Lease | null, record: LeaseRecord): Promise<HeldLease> {
    const object = this.#objectOf(record)
    const id = object.id.toString('hex')
    const pack = await this.#store.packs.write([object])
    try {
      const outcome = await this.#store.refs.change([{ ref: refOf(record.space), from: last?.id ?? null, to: id }])
      if (outcome.kind === 'moved') throw leaseLost(record.space, await this.read(record.space))
      if (outcome.kind === 'locked') throw new MeshError('space_busy', { detail: `${outcome.lockPath} is there.` })
      return { lease: { record, id }, pack }
    } finally {
      await pack.release()
    }
  }
}

const leaseRefPrefix = 'refs/claudemesh/leases/'

function refOf(space: string): string {
  return `${leaseRefPrefix}${space}`
}

function parseRecord(body: Buffer): LeaseRecord | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return validator.Check(value) ? value : null
  } catch {
    // Not JSON: the caller says which ref leads to it.
    return null
  }
}

function leaseHeld({ record }: Lease): MeshError {
  const { space, holder, epoch, expires_at: expires, socket } = record
  return new MeshError('lease_held', {
    detail: `${holder} appends to ${space} until ${expires}.`,
    data: { space, holder, epoch, expires_at: expires, socket },
  })
}

function leaseLost(space: string, last: Lease | null): MeshError {
  const now = last === null || last.record.released ? 'nobody' : last.record.holder
  return new MeshError('lease_lost', { detail: `The lease of ${space} is with ${now}.`, data: { space } })
}
