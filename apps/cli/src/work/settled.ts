/** What `queue ack` and `queue nack` have in common. */
import type { QueueSettleResponse } from '@claudemesh/protocol'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { invalidUsage } from '../flags.ts'
import type { Terminal } from '../output/terminal.ts'

/** @throws MeshError invalid_usage */
export function readLeased(args: readonly string[], leaseId: string | null): { id: string; lease_id: string } {
  const [id] = args
  if (id === undefined) throw invalidUsage('the id is missing')
  if (leaseId === null) throw invalidUsage('--lease is missing', 'It is the `lease_id` that came with the message.')
  return { id, lease_id: leaseId }
}

const meanings: Readonly<Record<QueueSettleResponse['items'][number]['outcome'], string>> = {
  done: 'is done',
  returned: 'goes back',
  dead: 'was given up after its last delivery',
  extended: 'is still leased',
  lease_lost: 'is not leased to this member any more: it does not count',
  unknown: 'is not known to the broker',
}

/** @returns ok when the message is settled as it was asked for */
export function reportSettled(terminal: Terminal, answer: QueueSettleResponse): ExitCode {
  terminal.print({
    value: answer,
    render: ({ items }) => items.map(({ id, outcome }) => `${id} ${meanings[outcome]}`),
  })
  const isLost = answer.items.some(({ outcome }) => outcome === 'lease_lost' || outcome === 'unknown')
  return isLost ? exitCodes.tryLater : exitCodes.ok
}
