import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatBytes } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Look how the store of artifacts is; exits with 0 only when it is well',
  examples: [{ line: 'claudemesh artifact health', describe: 'its database, and where the bytes are' }],

  async run(invocation) {
    const { terminal } = invocation
    const health = await withDaemon(invocation, async ({ artifacts }) => await artifacts.health())
    terminal.print({
      value: health,
      render: ({ status, database, backends }) => [
        status,
        `database  ${database.engine}, ${database.healthy ? 'answers' : 'does not answer'}`,
        ...backends.map((backend) => `bytes     ${backend.backend_id}, ${backend.detail ?? roomOf(backend)}`),
      ],
    })
    return health.status === 'ok' ? exitCodes.ok : exitCodes.failed
  },
}

function roomOf(o: { readonly healthy: boolean; readonly free_bytes: number | null }): string {
  if (!o.healthy) return 'cannot be used'
  return o.free_bytes === null ? 'well' : `${formatBytes(o.free_bytes)} free`
}
