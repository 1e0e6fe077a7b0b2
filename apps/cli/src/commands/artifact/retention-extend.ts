import { keptUntil } from '../../artifacts/render.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { parseDuration, parseTime } from '../../output/quantity.ts'
import { MeshError } from '../../protocol.ts'

export const command: CommandDefinition = {
  summary: 'Keep a package longer than it is kept now',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  options: [
    { syntax: '--by <duration>', describe: 'so much beyond its present expiry, such as 90d' },
    { syntax: '--until <date>', describe: 'until then, such as 2030-01-01' },
    { syntax: '--reason <text>', describe: 'why; needed' },
  ],
  examples: [
    {
      line: 'claudemesh artifact retention extend 01JD... --by 365d --reason "audit of 2026"',
      describe: 'a year beyond its present expiry',
    },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [id = ''] = args
    const [by, until, reason] = [flags.text('by'), flags.text('until'), flags.text('reason')]
    if ((by === null) === (until === null)) throw invalidUsage('one of --by and --until is needed')
    if (reason === null) throw invalidUsage('--reason is missing', 'Say why, for whoever looks at the log later.')
    const byMs = by === null ? null : parseDuration(by)
    if (by !== null && byMs === null) throw invalidUsage(`--by takes a duration such as 90d, not "${by}"`)
    const untilMs = until === null ? null : parseDate(until)
    const retention = await withDaemon(invocation, async ({ artifacts }) => {
      const expiresAt = untilMs ?? (await presentExpiry(async () => (await artifacts.package(id)).retention.expires_at))
      return await artifacts.extendRetention(id, { expires_at: expiresAt + (byMs ?? 0), reason })
    })
    terminal.print({ value: retention, render: ({ expires_at }) => [`kept ${keptUntil(expires_at)}`] })
    return exitCodes.ok
  },
}

function parseDate(text: string): number {
  // A duration would be how long ago: what is to be kept is kept into the future.
  const at = parseDuration(text) === null ? parseTime(text, Date.now()) : null
  if (at === null) throw invalidUsage(`--until takes a date such as 2030-01-01, not "${text}"`)
  return at
}

async function presentExpiry(read: () => Promise<number | null>): Promise<number> {
  const expiresAt = await read()
  if (expiresAt !== null) return expiresAt
  throw new MeshError('retention_not_later', {
    detail: 'the package is kept for ever',
    hint: 'There is nothing to do.',
  })
}
