import type { PackageQuery } from '@claudemesh/client'
import { renderPackageTable } from '../../artifacts/render.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import type { Flags } from '../../flags.ts'

const limitMax = 1000
const limitDefault = 50

export const command: CommandDefinition = {
  summary: 'List packages, the oldest first',
  options: [
    { syntax: '--producer <text>', describe: 'only those that it made' },
    { syntax: '--subject <text>', describe: 'only those that are about it' },
    { syntax: '--class <class>', describe: 'only those of a retention class' },
    { syntax: '--status <status>', describe: 'only created, finalized, aborted or garbage_collected ones' },
    { syntax: '--meta <key=value>', describe: 'only those whose metadata says so; repeatable', repeatable: true },
    { syntax: '--limit <n>', describe: `how many at most, 1 to ${limitMax}; default ${limitDefault}` },
    { syntax: '--after <id>', describe: 'the next page: what comes after the package of that id' },
  ],
  examples: [
    { line: 'claudemesh artifact list --status finalized', describe: 'what is sealed' },
    { line: 'claudemesh artifact list --meta build=4711 --json', describe: 'what a build left, as JSON' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const query = readQuery(flags)
    const page = await withDaemon(invocation, async ({ artifacts }) => await artifacts.packages(query))
    terminal.print({
      value: page,
      render: ({ packages, next }) => [
        ...(packages.length === 0 ? ['no packages'] : renderPackageTable(terminal, packages)),
        ...(next === null ? [] : [`there are more: --after ${next}`]),
      ],
    })
    return exitCodes.ok
  },
}

function readQuery(flags: Flags): PackageQuery {
  const [producer, subject, retentionClass] = [flags.text('producer'), flags.text('subject'), flags.text('class')]
  const status = flags.choice('status', ['created', 'finalized', 'aborted', 'garbage_collected'])
  const after = flags.text('after')
  return {
    limit: flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault,
    ...(producer === null ? {} : { producer }),
    ...(subject === null ? {} : { subject }),
    ...(retentionClass === null ? {} : { retention_class: retentionClass }),
    ...(status === null ? {} : { status }),
    ...(after === null ? {} : { after }),
    ...Object.fromEntries(flags.pairs('meta').map(([key, value]) => [`meta.${key}`, value])),
  }
}
