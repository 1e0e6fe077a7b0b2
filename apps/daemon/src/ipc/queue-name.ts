import { MeshError, parseAddress } from '@claudemesh/protocol'

/**
 * A queue's name as requests give it, with or without `queue:`.
 *
 * @throws MeshError invalid_destination
 */
export function readQueueName(text: string, field = 'queue'): string {
  const address = parseAddress(text.startsWith('queue:') ? text : `queue:${text}`)
  if (address?.kind === 'queue') return address.name
  throw new MeshError('invalid_destination', {
    detail: `${JSON.stringify(text)} is not the name of a queue`,
    data: { field },
    hint: 'Use 1 to 64 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or a digit.',
  })
}
