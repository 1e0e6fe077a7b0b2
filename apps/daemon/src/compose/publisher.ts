/** Part of the composition root: what is stored is told of, and recorded. */
import type { Stores } from '../lifecycle/open-stores.ts'
import type { DaemonLog } from '../log.ts'
import { Publisher } from '../publish/publisher.ts'
import type { Recorder } from '../record/recorder.ts'

export function composePublisher({
  stores,
  recorder,
  log,
}: {
  readonly stores: Stores
  readonly recorder: Pick<Recorder, 'wake'> | null
  readonly log: DaemonLog
}): {
  readonly publisher: Publisher
  readonly onStored: () => void
} {
  const { inbox, announcements, events, members, outbox } = stores
  const publisher = new Publisher({ inbox, outbox: announcements.add(), events, members, log: log.publish })
  const onStored = () => {
    publisher.wake()
    recorder?.wake()
  }
  outbox.onChange(onStored)
  return { publisher, onStored }
}
