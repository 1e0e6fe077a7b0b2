/** Part of the composition root: what goes out, to whom, and sealed by whom. */
import type { OwnBoxKeys } from '../box-keys.ts'
import type { Directory } from '../directory/directory.ts'
import type { Link } from '../link/link.ts'
import { Recipients } from '../send/recipients.ts'
import { Sender, type SenderOptions } from '../send/sender.ts'
import { SkippedRecipients } from '../send/skipped-recipients.ts'
import { composeSealer } from './sealing.ts'
import type { VerbParts } from './verb-parts.ts'

export interface Outgoing {
  readonly recipients: Recipients
  readonly skipped: SkippedRecipients
  readonly seal: SenderOptions['seal']
  readonly sender: Sender
}

export function composeOutgoing(
  { stores, runtime, log }: VerbParts,
  o: Pick<SenderOptions, 'transmit' | 'maxAgeMs'> & {
    readonly boxKeys: OwnBoxKeys
    readonly request: Link['request']
    readonly directory: Directory
  },
): Outgoing {
  const { outbox, members } = stores
  const skipped = new SkippedRecipients(log.send)
  const recipients = new Recipients({
    members,
    request: o.request,
    refreshDirectory: o.directory.refresh,
    onAnswered: (destination) => sender.recipientsAnswered(destination),
    skipped,
    runtime,
    log: log.send,
  })
  const sealing = composeSealer(stores, { boxKeys: o.boxKeys, recipients, skipped })
  const sender = new Sender({
    ...{ outbox, ...sealing, runtime, log: log.send },
    transmit: o.transmit,
    maxAgeMs: o.maxAgeMs,
    onRecipientsStale: (destination) => recipients.drop(destination),
  })
  return { recipients, skipped, seal: sealing.seal, sender }
}
