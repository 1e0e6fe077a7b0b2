import { existsSync } from 'node:fs'
import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { followLines, lastLines } from '../../log-file.ts'
import { formatLogLine } from '../../log-lines.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { daemonPaths } from '../../protocol.ts'

const linesMax = 100_000
const linesDefault = 50

export const command: CommandDefinition = {
  summary: "Show the daemon's log",
  options: [
    { syntax: '-f, --follow', describe: 'go on with what is written from now on' },
    { syntax: '-n, --lines <n>', describe: `how many of the last lines, 0 to ${linesMax}; default ${linesDefault}` },
  ],
  examples: [
    { line: 'claudemesh daemon logs -f', describe: 'the last lines and what comes, until interrupted' },
    {
      line: 'claudemesh daemon logs --json | jq -c "select(.level == \\"error\\")"',
      describe: 'as it is written, JSON lines',
    },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const path = daemonPaths(environment.home, selectMesh({ environment, mesh })).log
    const count = flags.integer('lines', { min: 0, max: linesMax }) ?? linesDefault
    const show = (line: string) => terminal.line(terminal.json ? line : formatLogLine(line))
    if (!existsSync(path) && !flags.isSet('follow')) {
      terminal.note(`there is no log at ${path} yet: the daemon has not run`)
      return exitCodes.ok
    }
    const { lines, end } = lastLines(path, count)
    for (const line of lines) show(line)
    if (flags.isSet('follow')) await followLines(path, { from: end, take: show })
    return exitCodes.ok
  },
}
