/** What an operator does with rows of the outbox: requeue, drop, prune (02 §5). */
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type DropResponse,
  isClientMessageId,
  MeshError,
  type PruneRequest,
  type PruneResponse,
  type RequeueRequest,
  type RequeueResponse,
  type SendRequest,
  sendRequestSchema,
} from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import { Compile } from 'typebox/compile'
import { sweepRowsMax } from '../limits.ts'
import type { Outbox, OutboxDraft, OutboxSummary } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import { buildDraft } from './draft.ts'
import { SendPreparation } from './prepare.ts'
import type { MemberLookup } from './resolve.ts'
import { toRowView } from './views.ts'

const operator = 'operator'
const prunable = ['dead', 'aborted'] as const
const sendRequest = Compile(sendRequestSchema)

interface RowIds {
  readonly id: string
  readonly clientMessageId: string
}

export class OperateOutbox {
  readonly #outbox: Outbox
  readonly #preparation: SendPreparation
  readonly #runtime: Runtime
  readonly #wake: () => void

  constructor(o: {
    readonly outbox: Outbox
    readonly members: MemberLookup
    readonly refreshDirectory: () => Promise<void>
    readonly inlineBytes: () => number
    readonly diskPressure: () => DiskPressure
    readonly runtime: Runtime
    readonly wake: () => void
  }) {
    this.#outbox = o.outbox
    this.#preparation = new SendPreparation(o)
    this.#runtime = o.runtime
    this.#wake = o.wake
  }

  /**
   * Gives a pending or dead row a second life under another id, with the same contents or with patched ones.
   *
   * @throws MeshError `outbox_row_unknown`, `outbox_row_not_operable`, `idempotency_key_reused` when the new id is taken,
   *   `insufficient_storage`, and whatever a `POST` of the patched payload would be answered
   */
  async requeue(id: string, request: RequeueRequest): Promise<RequeueResponse> {
    const ids = { id: this.#runtime.nextId(), clientMessageId: this.#readNewId(request.new_client_id) }
    const replacement =
      request.patch_payload === undefined ? null : await this.#draftOfPatch(request.patch_payload, ids)
    // The new row is one more, with or without contents of its own.
    const diskFault = this.#preparation.findDiskFault()
    if (diskFault !== null) throw diskFault
    const outcome = this.#outbox.requeue({
      id,
      by: operator,
      newId: ids.id,
      newClientMessageId: ids.clientMessageId,
      releaseOldId: request.release_old_id ?? false,
      replacement,
    })
    switch (outcome.kind) {
      case 'requeued':
        this.#wake()
        return { old: this.#view(outcome.old), new: this.#view(outcome.new) }
      case 'unknown':
        throw rowUnknown(id)
      case 'not_operable':
        throw rowNotOperable(outcome.row, 'requeued')
      case 'id_taken':
        throw idTaken(outcome.holder, ids.clientMessageId)
      default:
        return outcome satisfies never
    }
  }

  /**
   * Ends a pending or dead row for good.
   *
   * @throws MeshError `outbox_row_unknown` or `outbox_row_not_operable`
   */
  drop(id: string): DropResponse {
    const outcome = this.#outbox.drop({ id, by: operator })
    switch (outcome.kind) {
      case 'dropped':
        return { row: this.#view(outcome.row) }
      case 'unknown':
        throw rowUnknown(id)
      case 'not_operable':
        throw rowNotOperable(outcome.row, 'dropped')
      default:
        return outcome satisfies never
    }
  }

  /**
   * Deletes dead and aborted rows that were accepted at least so long ago; their ids are free then. In batches, between
   * which other requests are served.
   */
  async prune(request: PruneRequest): Promise<PruneResponse> {
    const acceptedUntil = this.#runtime.now() - (request.older_than_ms ?? 0)
    let pruned = 0
    for (const status of new Set(request.status ?? prunable)) {
      for (let rows = sweepRowsMax; rows === sweepRowsMax; ) {
        rows = this.#outbox.prune({ status, acceptedUntil })
        pruned += rows
        await nextTurn()
      }
    }
    return { pruned }
  }

  #readNewId(newClientId: string | undefined): string {
    if (newClientId === undefined || newClientId === 'auto') return this.#runtime.nextId()
    if (isClientMessageId(newClientId)) return newClientId
    throw new MeshError('invalid_client_message_id', { data: { field: 'new_client_id' } })
  }

  async #draftOfPatch(patch: unknown, ids: RowIds): Promise<OutboxDraft> {
    const request = readPatch(patch)
    try {
      const prepared = await this.#preparation.prepare(request, 'to')
      if (prepared.sizeFault !== null) throw prepared.sizeFault
      if (!prepared.resolution.ok) throw prepared.resolution.fault
      return buildDraft({ ...prepared, names: prepared.resolution.names, ...ids })
    } catch (error) {
      throw inPatch(error)
    }
  }

  #view(row: OutboxSummary): RequeueResponse['old'] {
    return toRowView(row, this.#outbox.receipts(row.id))
  }
}

/** @throws MeshError `invalid_request` */
function readPatch(patch: unknown): SendRequest {
  if (!sendRequest.Check(patch)) {
    const [fault] = sendRequest.Errors(patch)
    throw new MeshError('invalid_request', {
      detail: `the patched payload is not a send request: ${fault?.instancePath ?? ''} ${fault?.message ?? ''}`.trim(),
      data: { field: `patch_payload${fault?.instancePath ?? ''}` },
    })
  }
  if (patch.client_message_id === undefined) return patch
  throw new MeshError('invalid_request', {
    detail: 'the patched payload carries a client_message_id; the id of the new row is given by new_client_id',
    data: { field: 'patch_payload/client_message_id' },
  })
}

/** The same error with its field named as the requeue request has it. */
function inPatch(error: unknown): unknown {
  if (!(error instanceof MeshError) || typeof error.data['field'] !== 'string') return error
  return new MeshError(error.code, {
    detail: error.message,
    hint: error.hint,
    data: { ...error.data, field: `patch_payload/${error.data['field']}` },
    cause: error,
  })
}

function rowUnknown(id: string): MeshError {
  return new MeshError('outbox_row_unknown', { detail: `the outbox has no row ${id}`, data: { outbox_id: id } })
}

function rowNotOperable(row: OutboxSummary, what: string): MeshError {
  return new MeshError('outbox_row_not_operable', {
    detail: `outbox row ${row.id} is ${row.status} and cannot be ${what}`,
    data: { outbox_id: row.id, row_status: row.status },
  })
}

function idTaken(holder: OutboxSummary, clientMessageId: string): MeshError {
  return new MeshError('idempotency_key_reused', {
    detail: `the new id belongs to outbox row ${holder.id}, which is ${holder.status}`,
    data: { conflict: 'requeue_id_taken', client_message_id: clientMessageId, outbox_id: holder.id },
  })
}
