import type { Artifacts } from '@claudemesh/client'
import type { ArtifactEvent } from '@claudemesh/protocol/artifacts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'
import { formatTime } from '../../output/quantity.ts'

const pageSize = 500

export const command: CommandDefinition = {
  summary: 'Print the log: everything that was done with artifacts, each once and in order',
  options: [
    { syntax: '--since <n>', describe: 'what comes after the event of that number; default: from the first' },
    { syntax: '-f, --follow', describe: 'go on with what is added, until interrupted' },
  ],
  examples: [
    { line: 'claudemesh artifact events', describe: 'all of it, one line each' },
    { line: 'claudemesh artifact events --since 4711 --follow --json', describe: 'one JSON object per line, for ever' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const since = flags.integer('since', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0
    const follow = flags.isSet('follow')
    await withDaemon(invocation, async ({ artifacts }) => {
      const events = follow
        ? artifacts.followEvents({
            since,
            onInterrupted: (error) => terminal.note(`waiting for the daemon: ${error.message}`),
          })
        : eachEvent(artifacts, since)
      for await (const event of events) terminal.printItem({ value: event, render: () => [eventLine(event)] })
    })
    return exitCodes.ok
  },
}

async function* eachEvent(artifacts: Artifacts, since: number): AsyncGenerator<ArtifactEvent> {
  for (let after = since; ; ) {
    const { events } = await artifacts.events({ since: after, limit: pageSize })
    yield* events
    const last = events.at(-1)
    if (last === undefined || events.length < pageSize) return
    after = last.sequence
  }
}

/** Members of a payload that a line has room for. */
const shown = ['name', 'relative_path', 'size_bytes', 'outcome', 'reason', 'status'] as const

function eventLine({ sequence, created_at, event_type, subject_id, actor, payload }: ArtifactEvent): string {
  const facts = shown.flatMap((name) => {
    const value = payload[name]
    return typeof value === 'string' || typeof value === 'number' ? [`${name}=${value}`] : []
  })
  const head = [String(sequence).padStart(6), formatTime(created_at), event_type, subject_id, actor]
  return oneLine([...head, ...facts].join('  '))
}
