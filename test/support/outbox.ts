/** An outbox in a temporary directory on a clock of the test's own. */
import { copyFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { Outbox, type OutboxDraft, type SealableRow, type SealedMessage } from '../../apps/daemon/src/outbox/outbox.ts'
import type { Runtime } from '../../apps/daemon/src/runtime.ts'
import {
  createIdSource,
  encodeEnvelope,
  requestFingerprint,
  wireFingerprint,
} from '../../packages/protocol/src/index.ts'

const startOfTime = Date.UTC(2026, 0, 1)

/** A clock that moves when told to; ids are real. */
export class TestRuntime implements Runtime {
  wallMs = startOfTime
  elapsedMs = 0
  randomValue = 0.5
  readonly #nextId = createIdSource(() => this.wallMs)

  now = (): number => this.wallMs
  monotonicMs = (): number => this.elapsedMs
  random = (): number => this.randomValue
  nextId = (): string => this.#nextId()

  advance(ms: number): void {
    this.wallMs += ms
    this.elapsedMs += ms
  }
}

export interface OpenOutbox {
  readonly runtime: TestRuntime
  outbox: Outbox
  /** Opens what a process killed now would leave: a copy of the files as they are, nothing closed in order. */
  copy(): Outbox
  /** The same, and the copy takes the place of the outbox that was killed. */
  reopen(): Outbox
  remove(): void
}

export async function openOutbox(): Promise<OpenOutbox> {
  const directory = await mkdtemp(join(tmpdir(), 'claudemesh-outbox-'))
  const runtime = new TestRuntime()
  let lives = 0
  const nextPath = () => {
    lives += 1
    return join(directory, `outbox-${lives}.db`)
  }
  const open = (path: string) => Outbox.open({ path, runtime, acceptBatchMax: 256 })
  let path = nextPath()
  const copyFiles = () => {
    const copied = nextPath()
    for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${copied}${suffix}`)
    return copied
  }
  const opened: OpenOutbox = {
    runtime,
    outbox: open(path),
    copy: () => open(copyFiles()),
    reopen() {
      path = copyFiles()
      opened.outbox.close()
      opened.outbox = open(path)
      return opened.outbox
    },
    remove() {
      opened.outbox.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return opened
}

/** The same, removed when the test is over. */
export async function temporaryOutbox(): Promise<OpenOutbox> {
  const opened = await openOutbox()
  onTestFinished(() => opened.remove())
  return opened
}

const someMember = 'a'.repeat(64)

export function draftOf(runtime: Runtime, fields: Partial<OutboxDraft> & { readonly text?: string } = {}): OutboxDraft {
  const { text = 'hello', ...rest } = fields
  const body = Buffer.from(text)
  const draft = {
    id: runtime.nextId(),
    clientMessageId: runtime.nextId(),
    destinationKind: 'dm' as const,
    destinationRef: someMember,
    priority: 'next' as const,
    payload: encodeEnvelope({ metaCanonicalJson: '', body }),
    messageBytes: body.length,
    replyToId: null,
    mentions: [],
    addressed: 'someone',
    receipts: true,
    ...rest,
  }
  const fingerprint = requestFingerprint({
    destination: { kind: draft.destinationKind, ref: draft.destinationRef },
    replyToId: draft.replyToId,
    priority: draft.priority,
    metaCanonicalJson: '',
    body,
  })
  return { requestFingerprint: fingerprint, ...draft }
}

/** Stands for sealing where its bytes do not matter: they are the contents, under their own fingerprint. */
export function sealPlainly(row: SealableRow): SealedMessage {
  const sealed = row.payload ?? Buffer.alloc(0)
  const { destinationKind: kind, destinationRef: ref, replyToId, priority } = row
  const fingerprint = wireFingerprint({ destination: { kind, ref }, replyToId, priority, sealed })
  return { sealed, wireFingerprint: fingerprint, recipientsEpoch: null }
}

/** Stands for sealing: bytes that differ each time, so that a second sealing cannot go unnoticed. */
export function countingSeal(): ((row: { readonly payload: Buffer | null }) => SealedMessage) & { calls: number } {
  const seal = (row: { readonly payload: Buffer | null }): SealedMessage => {
    seal.calls += 1
    const sealed = Buffer.concat([Buffer.from(`seal ${seal.calls} `), row.payload ?? Buffer.alloc(0)])
    return { sealed, wireFingerprint: Buffer.alloc(32, seal.calls), recipientsEpoch: null }
  }
  seal.calls = 0
  return seal
}

export function claimAll(opened: OpenOutbox, o: { readonly rowsMax?: number; readonly bytesMax?: number } = {}) {
  const { rowsMax = 256, bytesMax = 1e9 } = o
  const seal = countingSeal()
  return opened.outbox.claim({ now: opened.runtime.now(), rowsMax, bytesMax, firstRegardless: true, seal }).rows
}

export const acceptedBy = (outboxId: string, n = 1) => ({
  outboxId,
  move: 'accepted' as const,
  brokerMessageId: `01BRK${String(n).padStart(21, '0')}`,
  historyId: String(n),
  recipientCount: 1,
})

export const retryOf = (outboxId: string, delayMs = 1_000, reseal = false) => ({
  outboxId,
  move: 'retry' as const,
  delayMs,
  lastError: 'internal_error',
  reseal,
})

export const refusalOf = (outboxId: string) => ({
  outboxId,
  move: 'refused' as const,
  lastError: 'recipient_unknown: gone',
})
