import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { writeStdout } from '../../output/stdout.ts'

export const command: CommandDefinition = {
  summary: 'Print the manifest of a finalized package: canonical JSON, or the bytes that its digest is of',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  options: [{ syntax: '--cbor', describe: 'as it is in the log' }],
  examples: [
    { line: 'claudemesh artifact manifest 01JD... | jq .files', describe: 'what is in it' },
    { line: 'claudemesh artifact manifest 01JD... --cbor | b3sum', describe: 'the manifest digest, computed again' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const form = flags.isSet('cbor') ? 'cbor' : 'json'
    if (form === 'cbor' && terminal.json) throw invalidUsage('--cbor and --json exclude each other')
    await withDaemon(invocation, async ({ artifacts }) => {
      const { bytes } = await artifacts.manifest(args[0] ?? '', form)
      await writeStdout(bytes)
    })
    // For a person; programs get the bytes and no other.
    if (form === 'json' && terminal.width !== null) terminal.line('')
    return exitCodes.ok
  },
}
