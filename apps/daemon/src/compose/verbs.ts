/** Part of the composition root: the verbs, each with the nouns it works on and the others it wakes. */
import type { FreezeResponse } from '@claudemesh/protocol'
import { Directory } from '../directory/directory.ts'
import { BrokerTerms } from '../lifecycle/broker-terms.ts'
import { effectiveMaxAgeHours } from '../lifecycle/max-age-policy.ts'
import type { Link } from '../link/link.ts'
import type { DecisionAnnouncer } from '../publish/decision-announcer.ts'
import type { Publisher } from '../publish/publisher.ts'
import { AcceptSend } from '../send/accept-send.ts'
import { freezeOutbox } from '../send/freeze-outbox.ts'
import { OperateOutbox } from '../send/requeue.ts'
import { composeDecide, type Deciding, type DecidingParts } from './decide.ts'
import { composeIncoming, type Incoming } from './incoming.ts'
import { brokerUrlOf, composeLink } from './link.ts'
import { composeOutgoing, type Outgoing } from './outgoing.ts'
import { composePublisher } from './publisher.ts'
import { composeRelay } from './relay.ts'
import { composeBoxKeys } from './sealing.ts'
import { composeShares, type Sharing } from './shares.ts'
import { composeDecisionAnnouncer } from './spaces.ts'
import type { VerbParts } from './verb-parts.ts'

export interface Verbs extends Omit<Outgoing, 'seal'>, Omit<Incoming, 'open'> {
  readonly terms: BrokerTerms
  readonly maxAgeHours: () => number
  readonly directory: Directory
  readonly acceptSend: AcceptSend
  readonly operate: OperateOutbox
  readonly freezeOutbox: () => Promise<FreezeResponse>
  readonly publisher: Publisher
  readonly decisionAnnouncer: DecisionAnnouncer
  readonly sharing: Sharing
  readonly deciding: Deciding
  readonly link: Link
}

const msPerHour = 3_600_000

export function composeVerbs(parts: VerbParts): Verbs {
  const { config, stores, runtime } = parts
  const { outbox, members } = stores
  const terms = new BrokerTerms(members)
  const maxAgeHours = () => effectiveMaxAgeHours(config().outbox, terms.dedupe)
  const request: Link['request'] = (op, params) => link.request(op, params)
  const directory = composeDirectory(parts, request, (memberIds) => reopener.sendersLearnt(memberIds))
  const { publisher, onStored } = composePublisher(parts)
  const boxKeys = composeBoxKeys(parts, { onReplaced: () => reopener.ownKeysChanged() })
  const { recipients, skipped, seal, sender } = composeOutgoing(parts, {
    ...{ boxKeys, request, directory },
    transmit: (items) => link.transmit(items),
    maxAgeMs: () => maxAgeHours() * msPerHour,
  })
  const { open, receiver, reopener, readReporter, queues } = composeIncoming(parts, {
    ...{ boxKeys, request, directory, onStored },
    acknowledge: (items) => link.acknowledge(items),
    takeElsewhere: (draft) => deciding.shared.take(draft),
  })
  const linked = { terms, directory, recipients, sender, receiver, readReporter, open }
  const link: Link = composeLink(parts, { ...linked, sharing: () => sharing, deciding: () => deciding })

  const sending = {
    outbox,
    members,
    refreshDirectory: directory.refresh,
    inlineBytes: () => terms.inlineBytes,
    diskPressure: parts.diskPressure,
    runtime,
    wake: () => wakeAll(sender, parts.recorder),
  }
  const acceptSend = new AcceptSend({ ...sending, preSend: parts.preSend })
  const sharing = composeSharing(parts, { request, terms, directory, recipients, acceptSend })
  const deciding = composeDeciding(parts, { request, seal, recipients, directory, terms, sender })
  return {
    ...{ terms, maxAgeHours, directory, acceptSend, recipients, skipped, sender },
    ...{ receiver, queues, readReporter, reopener, publisher, sharing, deciding, link },
    decisionAnnouncer: composeDecisionAnnouncer(parts),
    operate: new OperateOutbox(sending),
    freezeOutbox: () => freezeOutbox({ outbox, seal }),
  }
}

function composeDirectory(
  { stores, runtime, log }: VerbParts,
  request: Link['request'],
  onKeysLearnt: (memberIds: readonly string[]) => void,
): Directory {
  const { monotonicMs } = runtime
  return new Directory({ members: stores.members, request, onKeysLearnt, monotonicMs, log: log.directory })
}

function wakeAll(...workers: readonly ({ wake(): void } | null)[]): void {
  for (const worker of workers) worker?.wake()
}

function composeSharing(
  parts: VerbParts,
  o: Pick<Verbs, 'terms' | 'directory' | 'recipients' | 'acceptSend'> & { readonly request: Link['request'] },
): Sharing {
  const { home, stores, artifacts, config, runtime, log } = parts
  const { acceptSend, request, ...others } = o
  return composeShares({
    ...{ home, stores, artifacts, runtime, log: log.shares, ...others },
    relay: composeRelay({ brokerUrl: brokerUrlOf(parts), request, runtime, log: log.shares }),
    acceptShare: (request, files) => acceptSend.acceptShare(request, files),
    // What nobody has asked for does not fill the disk.
    autoFetchBytesMax: () => (parts.diskPressure() === 'ok' ? config().artifacts.autoFetchBytesMax : -1),
  })
}

function composeDeciding(
  { stores, spaces, config, runtime, log }: VerbParts,
  {
    sender,
    ...others
  }: Pick<DecidingParts, 'request' | 'seal' | 'recipients' | 'directory' | 'terms'> & Pick<Verbs, 'sender'>,
): Deciding {
  return composeDecide({
    ...{ stores, spaces, runtime, log: log.spaces, ...others },
    leaseTermMs: config().spaces.leaseTermMs,
    wakeSender: () => sender.wake(),
  })
}
