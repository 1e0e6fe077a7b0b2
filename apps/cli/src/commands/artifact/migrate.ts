import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'Bring the database of the artifacts to the newest schema, while no daemon runs',
  options: [
    { syntax: '--fresh', describe: 'begin anew; a file is set aside, a schema on PostgreSQL is dropped' },
    { syntax: '--yes', describe: 'needed with --fresh on PostgreSQL: what is dropped is gone' },
  ],
  examples: [
    { line: 'claudemesh artifact migrate', describe: 'as the daemon does when it first needs the store' },
    { line: 'claudemesh artifact migrate --fresh', describe: 'an empty store; the former one stays beside it' },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { artifactsEngine, migrateArtifacts } = await import('@claudemesh/daemon')
    const slug = selectMesh({ environment, mesh })
    const place = { home: environment.home, slug }
    const fresh = flags.isSet('fresh')
    if (fresh && !flags.isSet('yes') && artifactsEngine(place) === 'postgres') {
      throw invalidUsage(
        'the log of every artifact in the database would be dropped for good',
        'Back the database up, then add --yes.',
      )
    }
    const migrated = await migrateArtifacts({ ...place, fresh })
    const { engine, previousVersion, version, setAside } = migrated
    terminal.print({
      value: { mesh: slug, engine, previous_version: previousVersion, version, fresh, set_aside: setAside },
      render: () => [
        ...(setAside === null ? [] : [`the former database is ${setAside}`]),
        !fresh && previousVersion === version ? `schema ${version}: nothing to do` : `schema ${version} on ${engine}`,
      ],
    })
    return exitCodes.ok
  },
}
