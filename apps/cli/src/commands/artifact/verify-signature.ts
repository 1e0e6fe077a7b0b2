import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'Judge the signatures of a package; exits with 0 only when one is valid, and none is invalid',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  examples: [
    {
      line: 'claudemesh artifact verify-signature 01JD...',
      describe: 'valid, invalid, unknown_key (of no known member) or revoked',
    },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const judged = await withDaemon(invocation, async ({ artifacts }) => await artifacts.signatures(args[0] ?? ''))
    terminal.print({
      value: judged,
      render: ({ signatures }) =>
        signatures.length === 0
          ? ['not signed']
          : renderTable(
              [
                { title: 'VERDICT', cell: (row) => row.verdict },
                { title: 'KEY', cell: (row) => row.key_id },
              ],
              signatures,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    const verdicts = judged.signatures.map(({ verdict }) => verdict)
    return verdicts.includes('valid') && !verdicts.includes('invalid') ? exitCodes.ok : exitCodes.data
  },
}
