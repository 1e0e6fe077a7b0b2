import type { HookTestAnswer } from '@claudemesh/protocol/hooks'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import { formatDuration } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Run a hook for an event that did not happen, and show what it does',
  arguments: [{ syntax: '<hook>', describe: 'its name in hooks.toml' }],
  examples: [
    { line: 'claudemesh daemon hooks test on-dm', describe: 'with a sample message; nothing that it answers is sent' },
  ],

  async run(invocation) {
    const [name] = invocation.args
    if (name === undefined) throw invalidUsage('the name of the hook is missing')
    const answer = await withDaemon(invocation, ({ hooks }) => hooks.test(name))
    invocation.terminal.print({ value: answer, render: () => renderRun(answer) })
    return answer.run.result === 'ok' ? exitCodes.ok : exitCodes.software
  },
}

function renderRun({ run, stdout, stderr, reply }: HookTestAnswer): string[] {
  const end = run.exit_code === null ? `ended by ${run.signal}` : `ended with ${run.exit_code}`
  return [
    `${run.hook}: ${run.result}, ${end}, ${formatDuration(run.duration_ms)}`,
    ...marked('stdout', stdout),
    ...marked('stderr', stderr),
    ...(reply === null ? [] : [`it would reply: ${oneLine(reply)}`]),
  ]
}

function marked(stream: string, text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => `${stream} | ${oneLine(line)}`)
}
