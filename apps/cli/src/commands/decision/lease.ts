import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { renderLease } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Show who appends to a space, or change it; it is settled by itself otherwise',
  arguments: [spaceArgument],
  options: [
    { syntax: '--acquire', describe: 'let this daemon append until it gives the lease up, when nobody else has it' },
    { syntax: '--force', describe: 'from whoever has it, when that one is known to be gone; a note of it is decided' },
    { syntax: '--release', describe: 'give it up' },
  ],
  examples: [
    { line: 'claudemesh decision lease plans', describe: 'the last one there was' },
    { line: 'claudemesh decision lease plans --force', describe: 'the host that had it does not come back' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [space = ''] = args
    const [acquire, force, release] = [flags.isSet('acquire'), flags.isSet('force'), flags.isSet('release')]
    if (release && (acquire || force)) throw invalidUsage('a lease is taken or given up, and not both')
    const answer = await withDaemon(invocation, async ({ spaces }) => {
      if (release) return await spaces.releaseLease(space)
      return await (acquire || force ? spaces.acquireLease(space, { force }) : spaces.lease(space))
    })
    terminal.print({ value: answer, render: ({ lease }) => renderLease(lease) })
    return exitCodes.ok
  },
}
