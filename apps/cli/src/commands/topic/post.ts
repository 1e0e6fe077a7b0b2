import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { invalidUsage } from '../../flags.ts'
import { messageOptions, readMessage, readWaiting, reportSend } from '../../sending.ts'

export const command: CommandDefinition = {
  summary: 'Send a message to every subscriber of a topic',
  arguments: [
    { syntax: '<topic>', describe: 'its name, with or without #' },
    { syntax: '[text]', describe: 'the body, or - to read it from stdin' },
  ],
  options: messageOptions,
  examples: [
    { line: 'claudemesh topic post changes "release 1.4 is out"', describe: "the same as send --to '#changes'" },
  ],

  async run(invocation) {
    const { args, flags, environment, terminal } = invocation
    const [topic, text] = args
    if (topic === undefined) throw invalidUsage('the topic is missing')
    const waiting = readWaiting(flags)
    const message = await readMessage(flags, text ?? null)
    const options = { ...waiting, trace: environment.trace }
    const answer = await withDaemon(
      invocation,
      async (client) => await client.topicPost({ topic, ...message }, options),
    )
    return reportSend(terminal, answer, waiting)
  },
}
