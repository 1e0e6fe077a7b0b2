import { MeshError, parseAddress } from '@claudemesh/protocol'

/**
 * A topic's name as requests give it, with or without `#`.
 *
 * @throws MeshError invalid_destination
 */
export function readTopicName(text: string): string {
  const address = parseAddress(text.startsWith('#') ? text : `#${text}`)
  if (address?.kind === 'topic') return address.name
  throw new MeshError('invalid_destination', {
    detail: `${JSON.stringify(text)} is not the name of a topic`,
    data: { field: 'topic' },
    hint: 'Use 1 to 64 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or a digit.',
  })
}
