/** Part of the composition root: the link to the broker, who hears of it, and what is done when there is none. */
import { LocalBroker } from '../lifecycle/local-broker.ts'
import { Link } from '../link/link.ts'
import type { OpenMessage } from '../receive/open.ts'
import { refetch } from '../receive/refetch.ts'
import { type LinkParties, linkHandlers } from './link-handlers.ts'
import type { VerbParts } from './verb-parts.ts'

export function composeLink(
  parts: VerbParts,
  {
    open,
    ...others
  }: Omit<LinkParties, 'config' | 'events' | 'refetch' | 'leave' | 'log'> & { readonly open: OpenMessage },
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
export function brokerUrlOf({ config, stores }: VerbParts): string {
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
