import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { describeSubscription } from '../../subscription.ts'

export const command: CommandDefinition = {
  summary: 'Stop receiving what is posted to a topic',
  arguments: [{ syntax: '<topic>', describe: 'its name, with or without #' }],
  examples: [{ line: 'claudemesh topic unsubscribe changes', describe: 'kept while the broker is away' }],

  async run(invocation) {
    const [topic] = invocation.args
    if (topic === undefined) throw invalidUsage('the topic is missing')
    const answer = await withDaemon(invocation, async (client) => await client.topicUnsubscribe(topic))
    invocation.terminal.print({ value: answer, render: (value) => [describeSubscription(value)] })
    return exitCodes.ok
  },
}
