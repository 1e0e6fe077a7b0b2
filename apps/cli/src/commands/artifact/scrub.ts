import { renderLocations } from '../../artifacts/locations.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatBytes, formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Read what is stored again, the longest unread first; the daemon does so by itself, slowly',
  options: [
    { syntax: '--rate <bytes>', describe: 'bytes a second at most; default: as fast as the disk' },
    { syntax: '--objects <n>', describe: 'how many at most; default: all of them once' },
  ],
  examples: [{ line: 'claudemesh artifact scrub --objects 1000', describe: 'goes on where the last one came to' }],

  async run(invocation) {
    const { flags, terminal } = invocation
    const rate = flags.integer('rate', { min: 1, max: Number.MAX_SAFE_INTEGER })
    const objects = flags.integer('objects', { min: 1, max: 1_000_000 })
    const request = {
      ...(rate === null ? {} : { bytes_per_second: rate }),
      ...(objects === null ? {} : { objects_max: objects }),
    }
    const scrubbed = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) => await artifacts.scrub(request, { signal })),
    )
    const bad = scrubbed.changed.filter(({ outcome }) => outcome !== 'verified')
    terminal.print({
      value: scrubbed,
      render: (value) => [
        ...renderLocations(terminal, value.changed),
        `${formatCount(value.objects, 'object')} read, ${formatBytes(value.bytes)}; ${value.changed.length} are other than before`,
      ],
    })
    return bad.length === 0 ? exitCodes.ok : exitCodes.io
  },
}
