import type { Topic } from '@claudemesh/protocol'
import { oneLine } from './output/printable.ts'

/** What is wanted and whether the broker has confirmed it, in one line. */
export function describeSubscription(topic: Topic): string {
  const name = `#${oneLine(topic.name)}`
  if (topic.wanted)
    return topic.subscribed ? `subscribed to ${name}` : `will subscribe to ${name} when the broker answers`
  return topic.subscribed ? `will leave ${name} when the broker answers` : `not subscribed to ${name}`
}
