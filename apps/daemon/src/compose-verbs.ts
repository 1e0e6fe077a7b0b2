/** Part of the composition root: the verbs, each with the nouns it works on and the others it wakes. */
import type { FreezeResponse } from '@claudemesh/protocol'
import { RandomPool } from '@claudemesh/sealing'
import type { DiskPressure } from '@claudemesh/storage'
import { OwnBoxKeys } from './box-keys.ts'
import type { Artifacts } from './compose-artifacts.ts'
import { composeDecide, type Deciding, type DecidingParts } from './compose-decide.ts'
import { composePublisher } from './compose-publisher.ts'
import { composeRelay } from './compose-relay.ts'
import { composeShares, type Sharing } from './compose-shares.ts'
import { composeDecisionAnnouncer } from './compose-spaces.ts'
import type { DaemonConfig } from './config.ts'
import { Directory } from './directory/directory.ts'
import { BrokerTerms } from './lifecycle/broker-terms.ts'
import type { Departure } from './lifecycle/exit.ts'
import { LocalBroker } from './lifecycle/local-broker.ts'
import { effectiveMaxAgeHours } from './lifecycle/max-age-policy.ts'
import type { Stores } from './lifecycle/open-stores.ts'
import { Link } from './link/link.ts'
import { linkHandlers } from './link-handlers.ts'
import type { DaemonLog } from './log.ts'
import type { SealableRow } from './outbox/outbox.ts'
import type { DecisionAnnouncer } from './publish/decision-announcer.ts'
import type { Publisher } from './publish/publisher.ts'
import { WorkOpener } from './queues/opener.ts'
import { WorkQueues } from './queues/queues.ts'
import { makeOpener, type OpenMessage } from './receive/open.ts'
import { ReadReporter } from './receive/read-reporter.ts'
import { Receiver } from './receive/receive.ts'
import { refetch } from './receive/refetch.ts'
import { Reopener } from './receive/reopen.ts'
import type { Recorder } from './record/recorder.ts'
import type { Runtime } from './runtime.ts'
import { AcceptSend } from './send/accept-send.ts'
import { freezeOutbox } from './send/freeze-outbox.ts'
import { Recipients } from './send/recipients.ts'
import { OperateOutbox } from './send/requeue.ts'
import { Sealer, type SealerOptions } from './send/seal.ts'
import { Sender } from './send/sender.ts'
import { SkippedRecipients } from './send/skipped-recipients.ts'
import type { Spaces } from './spaces/spaces.ts'

export interface Verbs {
  readonly terms: BrokerTerms
  readonly maxAgeHours: () => number
  readonly directory: Directory
  readonly acceptSend: AcceptSend
  readonly operate: OperateOutbox
  readonly freezeOutbox: () => Promise<FreezeResponse>
  readonly recipients: Recipients
  readonly skipped: SkippedRecipients
  readonly sender: Sender
  readonly receiver: Receiver
  readonly queues: WorkQueues
  readonly readReporter: ReadReporter
  readonly reopener: Reopener
  readonly publisher: Publisher
  readonly decisionAnnouncer: DecisionAnnouncer
  readonly sharing: Sharing
  readonly deciding: Deciding
  readonly link: Link
}

const msPerHour = 3_600_000

export interface VerbParts {
  readonly home: string
  readonly selfCommand: readonly string[]
  readonly version: string
  readonly config: () => DaemonConfig
  readonly stores: Stores
  readonly artifacts: Pick<Artifacts, 'store' | 'room'>
  readonly spaces: Spaces
  /** Null when there is no history. */
  readonly recorder: Pick<Recorder, 'wake'> | null
  readonly hostFingerprint: string
  readonly runtime: Runtime
  readonly log: DaemonLog
  readonly diskPressure: () => DiskPressure
  readonly leave: (departure: Departure) => void
}

export function composeVerbs(parts: VerbParts): Verbs {
  const { config, stores, runtime, log } = parts
  const { outbox, inbox, members } = stores
  const terms = new BrokerTerms(members)
  const maxAgeHours = () => effectiveMaxAgeHours(config().outbox, terms.dedupe)
  const request: Link['request'] = (op, params) => link.request(op, params)
  const directory = composeDirectory(parts, request, (memberIds) => reopener.sendersLearnt(memberIds))
  const { publisher, onStored } = composePublisher(parts)
  const decisionAnnouncer = composeDecisionAnnouncer(parts)
  const boxKeys = composeBoxKeys(parts, { onReplaced: () => reopener.ownKeysChanged() })
  const open = makeOpener({ meshId: stores.identity.meshFile.mesh.mesh_id, boxKeys, members })
  const skipped = new SkippedRecipients(log.send)
  const recipients = new Recipients({
    members,
    request,
    refreshDirectory: directory.refresh,
    onAnswered: (destination) => sender.recipientsAnswered(destination),
    skipped,
    runtime,
    log: log.send,
  })
  const { seal, sealForKnown } = composeSealer(stores, { boxKeys, recipients, skipped })
  const sender = new Sender({
    outbox,
    seal,
    sealForKnown,
    transmit: (items) => link.transmit(items),
    onRecipientsStale: (destination) => recipients.drop(destination),
    runtime,
    log: log.send,
    maxAgeMs: () => maxAgeHours() * msPerHour,
  })
  const receiver = new Receiver({
    inbox,
    outbox,
    open,
    acknowledge: (items) => link.acknowledge(items),
    onStored,
    onReceipts: onStored,
    lookForSenders: (memberIds) => directory.lookForUnknown(memberIds),
    takeElsewhere: (draft) => deciding.shared.take(draft),
    log: log.receive,
  })
  const reopener = new Reopener({ inbox, open, onStored, log: log.receive })
  const readReporter = composeReadReporter(parts, request)
  const queues = composeQueues(parts, { request, open, directory })
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
  const acceptSend = new AcceptSend(sending)
  const sharing = composeSharing(parts, { request, terms, directory, recipients, acceptSend })
  const deciding = composeDeciding(parts, { request, seal, recipients, directory, terms, sender })
  return {
    ...{ terms, maxAgeHours, directory, acceptSend, recipients, skipped, sender },
    ...{ receiver, queues, readReporter, reopener, publisher, decisionAnnouncer, sharing, deciding, link },
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

function composeReadReporter({ stores, runtime, log }: VerbParts, request: Link['request']): ReadReporter {
  const { reads } = stores.inbox
  const readReporter = new ReadReporter({ reads, request, random: runtime.random, log: log.receive })
  reads.onNoted(() => readReporter.wake())
  return readReporter
}

function composeQueues(
  { stores, runtime, log }: VerbParts,
  o: { readonly request: Link['request']; readonly open: OpenMessage; readonly directory: Directory },
): WorkQueues {
  const { request, open, directory } = o
  return new WorkQueues({
    request,
    opener: new WorkOpener({ open, lookForSenders: (memberIds) => directory.lookForUnknown(memberIds) }),
    nameOf: (memberId) => stores.members.findById(memberId)?.name ?? null,
    monotonicMs: runtime.monotonicMs,
    log: log.queues,
  })
}

function composeSealer({ identity }: Stores, parts: Pick<SealerOptions, 'boxKeys' | 'recipients' | 'skipped'>) {
  const { mesh, memberId } = identity.meshFile
  const randomPool = new RandomPool()
  const randomBytes = (length: number) => randomPool.take(length)
  const sealer = new Sealer({ ...parts, meshId: mesh.mesh_id, selfId: memberId, randomBytes })
  return {
    seal: (row: SealableRow) => sealer.seal(row),
    sealForKnown: (row: SealableRow) => sealer.sealForKnown(row),
  }
}

/** The keys that seal and open, kept in step with the identity. */
function composeBoxKeys({ stores, runtime }: VerbParts, o: { readonly onReplaced: () => void }): OwnBoxKeys {
  const { identity, members } = stores
  const held = () => ({ box: identity.keys.box, epoch: identity.certificate.epoch, archived: identity.archived })
  const boxKeys = new OwnBoxKeys(held(), runtime.now)
  members.learnOwnKeys(identity.meshFile.chain)
  identity.onChange(() => {
    boxKeys.replace(held())
    members.learnOwnKeys(identity.meshFile.chain)
    o.onReplaced()
  })
  return boxKeys
}

type LinkedVerbs = Pick<Verbs, 'terms' | 'directory' | 'recipients' | 'sender' | 'receiver' | 'readReporter'>

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

function composeLink(
  parts: VerbParts,
  {
    open,
    ...others
  }: LinkedVerbs & {
    readonly open: OpenMessage
    readonly sharing: () => Sharing
    readonly deciding: () => Deciding
  },
): Link {
  const { config, stores, runtime, log } = parts
  const { inbox, events, identity } = stores
  const retentionDays = () => config().inbox.retentionDays
  const request: Link['request'] = (op, params) => link.request(op, params)
  const link: Link = new Link({
    url: brokerUrlOf(parts),
    identity: () => {
      const { mesh, memberId, chain } = identity.meshFile
      return { mesh, memberId, chain, keys: identity.keys, hostFingerprint: parts.hostFingerprint }
    },
    ephemeralTtlMs: identity.ephemeralTtlMs,
    requireFeatures: config().features.require,
    daemonVersion: parts.version,
    runtime,
    log: log.link,
    onUnreachable: whenUnreachable(parts),
    handlers: linkHandlers({
      ...others,
      config,
      events,
      refetch: () => refetch({ inbox, request, open, retentionDays, log: log.receive }),
      leave: parts.leave,
      log: log.link,
    }),
  })
  return link
}

/** Of the WebSocket. */
function brokerUrlOf({ config, stores }: VerbParts): string {
  return config().broker.url ?? stores.identity.meshFile.broker.url
}

/** A broker of somebody else's comes back by itself; the one of this home is brought up. */
function whenUnreachable(parts: VerbParts): () => void {
  const { broker } = parts.stores.identity.meshFile
  const isOurs = broker.local && parts.config().broker.url === null
  if (!isOurs) return () => undefined
  const { home, selfCommand, runtime, log } = parts
  const localBroker = new LocalBroker({ home, url: broker.url, selfCommand, runtime, log: log.lifecycle })
  return () => localBroker.ensure()
}
