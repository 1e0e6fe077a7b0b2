import type { CommandDefinition } from '../command.ts'
import { withDaemon } from '../connection.ts'
import { invalidUsage } from '../flags.ts'
import { messageOptions, readMessage, readWaiting, reportSend } from '../sending.ts'

export const command: CommandDefinition = {
  summary: 'Send a message and say which state it reached',
  arguments: [{ syntax: '[text]', describe: 'the body, or - to read it from stdin' }],
  options: [{ syntax: '--to <destination>', describe: '@name, member id, #topic or queue:<name>' }, ...messageOptions],
  examples: [
    { line: 'claudemesh send --to @reviewer "build is green"', describe: 'waits until the broker has it, 2 s at most' },
    { line: "git diff | claudemesh send --to '#changes' -", describe: 'the body from stdin, to a topic' },
    { line: 'claudemesh send --to @bob --wait delivered --file report.md', describe: "until it is in bob's inbox" },
    {
      line: 'claudemesh send --to queue:builds --wait delivered main',
      describe: 'work for one of those who consume the queue; delivered: it is done',
    },
    {
      line: 'claudemesh send --to @bob --id deploy-4711 --meta pr=17 "done"',
      describe: 'can be repeated: it is one message',
    },
  ],

  async run(invocation) {
    const { args, flags, environment, terminal } = invocation
    const to = flags.text('to')
    if (to === null) throw invalidUsage('--to is missing', 'Say who gets it: `claudemesh send --to @name "text"`.')
    const waiting = readWaiting(flags)
    const message = await readMessage(flags, args[0] ?? null)
    const options = { ...waiting, trace: environment.trace }
    const answer = await withDaemon(invocation, async (client) => await client.send({ to, ...message }, options))
    return reportSend(terminal, answer, waiting)
  },
}
