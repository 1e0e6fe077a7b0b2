import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { oneLine } from '../../output/printable.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'Show the configuration and where each value comes from',
  options: [
    { syntax: '--effective', describe: 'every setting, defaults too; without it only those that somebody set' },
    { syntax: '--set <key=value>', describe: 'as `daemon start --set` would apply it; repeatable', repeatable: true },
  ],
  examples: [
    { line: 'claudemesh daemon config show --effective', describe: 'what a daemon started now would run with' },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { effectiveConfig } = await import('@claudemesh/daemon')
    const slug = selectMesh({ environment, mesh })
    const settings = flags.pairs('set')
    const sources = { home: environment.home, mesh: slug, flags: Object.fromEntries(settings) }
    if (Object.keys(sources.flags).length < settings.length) throw invalidUsage('--set names the same setting twice')
    const all = effectiveConfig(sources)
    const entries = flags.isSet('effective') ? all : all.filter(({ origin }) => origin.source !== 'default')
    terminal.print({
      value: { home: environment.home, mesh: slug, settings: entries },
      render: () =>
        entries.length === 0
          ? ['every setting has its default', '  -> claudemesh daemon config show --effective']
          : renderTable(
              [
                { title: 'SETTING', cell: (row) => row.name },
                { title: 'VALUE', cell: (row) => oneLine(JSON.stringify(row.value)), flexible: true },
                { title: 'FROM', cell: (row) => row.origin.place ?? row.origin.source, flexible: true },
              ],
              entries,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}
