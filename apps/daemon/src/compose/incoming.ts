/** Part of the composition root: what comes in, opened, stored and told of. */
import type { OwnBoxKeys } from '../box-keys.ts'
import type { Directory } from '../directory/directory.ts'
import type { Link } from '../link/link.ts'
import { WorkOpener, type WorkOpenerOptions } from '../queues/opener.ts'
import { WorkQueues } from '../queues/queues.ts'
import { makeOpener, type OpenMessage } from '../receive/open.ts'
import { ReadReporter } from '../receive/read-reporter.ts'
import { Receiver, type ReceiverOptions } from '../receive/receive.ts'
import { Reopener } from '../receive/reopen.ts'
import type { VerbParts } from './verb-parts.ts'

export interface Incoming {
  readonly open: OpenMessage
  readonly receiver: Receiver
  readonly reopener: Reopener
  readonly readReporter: ReadReporter
  readonly queues: WorkQueues
}

export function composeIncoming(
  parts: VerbParts,
  o: Pick<ReceiverOptions, 'acknowledge' | 'onStored' | 'takeElsewhere'> & {
    readonly boxKeys: OwnBoxKeys
    readonly request: Link['request']
    readonly directory: Directory
  },
): Incoming {
  const { inbox, outbox, members, identity } = parts.stores
  const { boxKeys, request, directory, ...receiving } = o
  const { onStored, takeElsewhere } = receiving
  const log = parts.log.receive
  const lookForSenders = (memberIds: readonly string[]) => directory.lookForUnknown(memberIds)
  const open = makeOpener({ meshId: identity.meshFile.mesh.mesh_id, boxKeys, members })
  return {
    open,
    receiver: new Receiver({ ...receiving, inbox, outbox, open, onReceipts: onStored, lookForSenders, log }),
    reopener: new Reopener({ inbox, open, takeElsewhere, onStored, log }),
    readReporter: composeReadReporter(parts, request),
    queues: composeQueues(parts, { request, open, lookForSenders }),
  }
}

function composeReadReporter({ stores, runtime, log }: VerbParts, request: Link['request']): ReadReporter {
  const { reads } = stores.inbox
  const readReporter = new ReadReporter({ reads, request, random: runtime.random, log: log.receive })
  reads.onNoted(() => readReporter.wake())
  return readReporter
}

function composeQueues(
  { stores, runtime, log }: VerbParts,
  { request, ...opening }: WorkOpenerOptions & { readonly request: Link['request'] },
): WorkQueues {
  return new WorkQueues({
    request,
    opener: new WorkOpener(opening),
    nameOf: (memberId) => stores.members.findById(memberId)?.name ?? null,
    monotonicMs: runtime.monotonicMs,
    log: log.queues,
  })
}
