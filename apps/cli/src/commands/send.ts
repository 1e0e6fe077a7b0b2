import type { SendRequest, SendResponse } from '@claudemesh/protocol'
import type { CommandDefinition, Invocation } from '../command.ts'
import { withDaemon } from '../connection.ts'
import { invalidUsage } from '../flags.ts'
import { selectMesh } from '../mesh-selection.ts'
import { messageOptions, readMessage, readWaiting, reportSend } from '../sending.ts'

export const command: CommandDefinition = {
  summary: 'Send a message and say which state it reached',
  arguments: [{ syntax: '[text]', describe: 'the body, or - to read it from stdin' }],
  options: [
    { syntax: '--to <destination>', describe: '@name, member id, #topic or queue:<name>' },
    { syntax: '--offline', describe: 'keep it for a daemon that does not run; the next start sends it' },
    ...messageOptions,
  ],
  examples: [
    { line: 'claudemesh send --to @reviewer "build is green"', describe: 'waits until the broker has it, 2 s at most' },
    { line: "git diff | claudemesh send --to '#changes' -", describe: 'the body from stdin, to a topic' },
    { line: 'claudemesh send --to @bob --wait delivered --file report.md', describe: "until it is in bob's inbox" },
    {
      line: 'claudemesh send --to queue:builds --wait delivered main',
      describe: 'work for one of those who consume the queue; delivered: it is done',
    },
    {
      line: 'claudemesh send --offline --to @bob "good morning"',
      describe: 'without a daemon: on the disk now, sent by its next start',
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
    const isOffline = flags.isSet('offline')
    if (isOffline && waiting.required !== null) {
      throw invalidUsage('--offline keeps the message, and nobody is there to send it', 'Leave --wait out.')
    }
    const message = await readMessage(flags, args[0] ?? null)
    const request = { to, ...message }
    const kept = isOffline ? await keep(invocation, request) : null
    if (kept !== null) return reportSend(terminal, kept, { ...waiting, waitMs: 0 })
    const options = { ...waiting, trace: environment.trace }
    const answer = await withDaemon(invocation, async (client) => await client.send(request, options))
    return reportSend(terminal, answer, waiting)
  },
}

/** @returns null when the daemon runs */
async function keep(invocation: Invocation, request: SendRequest): Promise<SendResponse | null> {
  const { home, trace } = invocation.environment
  const { sendStopped } = await import('@claudemesh/daemon')
  return await sendStopped({ home, mesh: selectMesh(invocation) }, request, trace)
}
