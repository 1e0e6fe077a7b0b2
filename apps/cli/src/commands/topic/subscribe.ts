import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { describeSubscription } from '../../subscription.ts'

export const command: CommandDefinition = {
  summary: 'Receive what is posted to a topic, which is made when there is none',
  arguments: [{ syntax: '<topic>', describe: 'its name, with or without #' }],
  examples: [{ line: 'claudemesh topic subscribe changes', describe: 'from now on; kept while the broker is away' }],

  async run(invocation) {
    const [topic] = invocation.args
    if (topic === undefined) throw invalidUsage('the topic is missing')
    const answer = await withDaemon(invocation, async (client) => await client.topicSubscribe(topic))
    invocation.terminal.print({ value: answer, render: (value) => [describeSubscription(value)] })
    return exitCodes.ok
  },
}
