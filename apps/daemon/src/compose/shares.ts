/** Part of the composition root: sharing, from what is asked for to what has arrived. */
import { type Destination, isErrorCode, MeshError, type SendRequest, type SharedFiles } from '@claudemesh/protocol'
import type { Directory } from '../directory/directory.ts'
import type { BrokerTerms } from '../lifecycle/broker-terms.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { Recipients } from '../send/recipients.ts'
import { Resolver } from '../send/resolve.ts'
import { OfferTaker } from '../shares/offer-taker.ts'
import { ShareAnnouncer } from '../shares/share-announcer.ts'
import { ShareFetcher } from '../shares/share-fetcher.ts'
import { ShareFiles } from '../shares/share-files.ts'
import { ShareSender } from '../shares/share-sender.ts'
import type { Artifacts } from './artifacts.ts'
import type { LazyRelay } from './relay.ts'

export interface Sharing {
  readonly files: ShareFiles
  readonly fetcher: ShareFetcher
  readonly nameOf: (memberId: string) => string | null
  /** How many shares of this process ended how. */
  totals(): Readonly<Record<string, number>>
  /** Why shares wait, if they do though the broker is there. */
  failure(): MeshError | null
  /** Goes on with what an earlier process began. */
  start(): void
  linkOpened(): void
  /** Ends what is under way; the next start goes on with it. */
  stop(): Promise<void>
}

export interface SharingParts {
  readonly home: string
  readonly stores: Stores
  readonly artifacts: Pick<Artifacts, 'store' | 'room'>
  readonly relay: LazyRelay
  readonly terms: BrokerTerms
  readonly directory: Directory
  readonly recipients: Recipients
  readonly acceptShare: (request: SendRequest, files: SharedFiles) => Promise<unknown>
  readonly autoFetchBytesMax: () => number
  readonly runtime: Runtime
  readonly log: Log
}

export function composeShares(parts: SharingParts): Sharing {
  const { home, stores, relay, runtime, log } = parts
  const { store, room } = parts.artifacts
  const { inbox, events, members, identity } = stores
  const { memberId: selfId } = identity.meshFile
  const { random } = runtime
  const nameOf = (memberId: string) => members.findById(memberId)?.name ?? null
  const announcer = new ShareAnnouncer({ store, events, selfId, nameOf, random, log })
  const onFetched = () => announcer.wake()
  const fetcher = new ShareFetcher({
    ...{ store, room, relay, selfId, runtime, onFetched, log },
    autoFetchBytesMax: parts.autoFetchBytesMax,
  })
  const onReceived = () => fetcher.wake()
  const taker = new OfferTaker({ offers: inbox.offers, store, selfId, random, onReceived, log })
  inbox.offers.onNoted(() => taker.wake())
  const sender = new ShareSender({
    ...{ store, relay, selfId, runtime, log },
    findRecipients: recipientsFrom(parts.recipients),
    acceptMessage: parts.acceptShare,
  })
  const files = new ShareFiles({
    ...{ store, room, home, selfId, runtime },
    resolve: resolverFrom(parts),
    relayFault: () => relayFault(parts.terms),
    onCreated: () => sender.wake(),
  })
  const workers = [sender, taker, fetcher, announcer]
  return {
    ...{ files, fetcher, nameOf },
    totals: () => ({ ...sender.totals, ...fetcher.totals }),
    failure: () => [sender, fetcher].map(({ failure }) => failure).find(isOwnFault) ?? null,
    start: () => {
      for (const worker of [sender, fetcher, announcer]) worker.start()
      taker.wake()
    },
    linkOpened: () => {
      for (const worker of [sender, fetcher]) worker.linkOpened()
    },
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.stop()))
      await relay.close()
    },
  }
}

/** That the broker cannot be reached is the link's to say. */
function isOwnFault(failure: MeshError | null): failure is MeshError {
  return failure !== null && failure.code !== 'broker_unavailable'
}

/** Before the first connection of this process nobody knows: a share waits for it. */
function relayFault({ features }: BrokerTerms): MeshError | null {
  const isKnown = Object.keys(features).length > 0
  return isKnown && features.artifact_relay === undefined ? new MeshError('relay_unavailable') : null
}

function resolverFrom({ stores, directory }: SharingParts): (to: string) => Promise<Destination> {
  const resolver = new Resolver({ members: stores.members, refreshDirectory: directory.refresh })
  return async (to) => {
    const resolution = await resolver.resolve({ to, toField: 'to', mentions: [] })
    if (!resolution.ok) throw resolution.fault
    return resolution.names.destination
  }
}

function recipientsFrom(recipients: Recipients): (destination: Destination) => readonly string[] | null {
  return (destination) => {
    const found = recipients.lookUp(destination)
    if (found.kind === 'known') return found.members.map(({ memberId }) => memberId)
    if (found.kind !== 'refused') return null
    const [code = ''] = found.reason.split(':')
    const detail = found.reason.slice(code.length + 1).trim()
    throw new MeshError(isErrorCode(code) ? code : 'recipient_unknown', { detail })
  }
}
