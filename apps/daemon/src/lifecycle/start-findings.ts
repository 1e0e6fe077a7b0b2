/** What a start has found, for the log and for `daemon status`. */
import type { Health } from '../health.ts'
import type { Log } from '../log.ts'
import type { CheckedHost, ClonePolicy } from './host-fingerprint.ts'
import type { Stores } from './open-stores.ts'

interface Told {
  readonly log: Log
  readonly raised: Health
}

/** What was recovered, finished or moved aside. */
export function tellOfRecovery({ outbox, inboxMovedTo, identity }: Stores, { log, raised }: Told): void {
  if (outbox.recovered > 0) log.info({ rows: outbox.recovered }, 'outbox_recovered')
  if (identity.rotationFinished) log.info({ epoch: identity.certificate.epoch }, 'keypair_rotation_finished')
  if (identity.quarantined !== null) {
    raised.raise('key_archive_quarantined', `the old one is ${identity.quarantined}`)
    log.warn({ moved_to: identity.quarantined }, 'key_archive_quarantined')
  }
  if (inboxMovedTo === null) return
  raised.raise('inbox_rebuilt', `the damaged one is ${inboxMovedTo}`)
  log.warn({ moved_to: inboxMovedTo }, 'inbox_rebuilt')
}

/** A host that is not the accepted one, or that cannot be told from others. */
export function tellOfHost(host: CheckedHost, { log, raised, policy }: Told & { readonly policy: ClonePolicy }): void {
  if (host.warning !== null) {
    log.warn({ warning: host.warning }, 'host_unknown')
    raised.raise('host_unknown', host.warning)
  }
  if (host.isAccepted) return
  log.warn({ fingerprint: host.fingerprint, basis: host.basis }, 'host_changed')
  if (policy === 'warn') raised.raise('host_changed')
}
