/**
 * Part of the composition root: what each thing that happens on the link means to the others. Nothing is decided here.
 */
import { MeshError } from '@claudemesh/protocol'
import type { DaemonConfig } from '../config/config.ts'
import type { Directory } from '../directory/directory.ts'
import type { Events, NewEvent } from '../events/events.ts'
import type { BrokerTerms } from '../lifecycle/broker-terms.ts'
import { type Departure, departureOf, departureOfClose } from '../lifecycle/exit.ts'
import { assertMaxAgeOverride } from '../lifecycle/max-age-policy.ts'
import type { LinkHandlers } from '../link/link.ts'
import type { Log } from '../log.ts'
import type { ReadReporter } from '../receive/read-reporter.ts'
import type { Receiver } from '../receive/receive.ts'
import type { Recipients } from '../send/recipients.ts'
import type { Sender } from '../send/sender.ts'

export interface LinkParties {
  readonly config: () => DaemonConfig
  readonly terms: BrokerTerms
  readonly directory: Directory
  readonly recipients: Recipients
  readonly sender: Sender
  readonly receiver: Receiver
  readonly readReporter: ReadReporter
  /** Composed after the link, and there before it opens. */
  readonly sharing: () => { linkOpened(): void }
  readonly deciding: () => { linkOpened(): void }
  readonly events: Events
  /** Goes on with what a rebuilt inbox still lacks. */
  readonly refetch: () => Promise<unknown>
  readonly leave: (departure: Departure) => void
  readonly log: Log
}

export function linkHandlers(parties: LinkParties): LinkHandlers {
  const { terms, directory, recipients, sender, receiver, readReporter, log } = parties
  let connections = 0
  return {
    opened(agreement, limits) {
      terms.agree(agreement)
      if (!allowsMaxAge(parties)) return
      connections += 1
      void directory.linkOpened()
      recipients.linkOpened()
      sender.linkOpened(limits)
      readReporter.linkOpened()
      parties.sharing().linkOpened()
      parties.deciding().linkOpened()
      announce(parties, { type: connections === 1 ? 'daemon_connect' : 'daemon_reconnect', data: {} })
      parties.refetch().catch((error: unknown) => {
        // The next connection goes on from where this one came to.
        if (!(error instanceof MeshError)) throw error
        log.warn({ err: error }, 'refetch_interrupted')
      })
    },
    closed(reason) {
      sender.linkClosed()
      readReporter.linkClosed()
      directory.linkClosed()
      announce(parties, { type: 'daemon_disconnect', data: { reason } })
    },
    sendResults: (items) => sender.settleResults(items),
    deliver: (items) => receiver.deliver(items),
    receipts: (items) => receiver.receipts(items),
    events(items) {
      for (const item of items) if (item.kind === 'topic') recipients.drop({ kind: 'topic', ref: item.topic })
      for (const { type, memberId, name } of directory.applyEvents(items)) {
        announce(parties, { type, data: { member_id: memberId, name } })
      }
    },
    fatal: (exit) => parties.leave(departureOfClose(exit)),
  }
}

/** A broker that remembers ids for a shorter time than the configuration counts on ends the daemon. */
function allowsMaxAge(parties: LinkParties): boolean {
  try {
    assertMaxAgeOverride(parties.config().outbox, parties.terms.dedupe)
    return true
  } catch (error) {
    parties.leave(departureOf(error))
    return false
  }
}

/** An event about the link says what health says as well: losing one to a full disk must not cost the link. */
function announce({ events, log }: LinkParties, event: NewEvent): void {
  try {
    events.append([event])
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    log.error({ type: event.type, err: error }, 'event_not_stored')
  }
}
