import type { CommandDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'Say that this home has moved to this host',
  examples: [
    { line: 'claudemesh daemon accept-host', describe: 'after a move; only when the old host no longer uses the home' },
    { line: 'claudemesh daemon remint', describe: 'instead, when the home was copied and both hosts go on' },
  ],

  async run({ mesh, environment, terminal }) {
    const { acceptThisHost } = await import('@claudemesh/daemon')
    const slug = selectMesh({ environment, mesh })
    const { host, changed } = acceptThisHost({ home: environment.home, slug })
    terminal.print({
      value: { mesh: slug, fingerprint: host.fingerprint, basis: host.basis, changed },
      render: (value) => [
        changed
          ? `the home belongs on this host from now on (${value.fingerprint.slice(0, 16)}…, by its ${value.basis})`
          : 'the home belongs on this host already',
        `  -> ${startCommand(slug)}`,
      ],
    })
    if (host.warning !== null) terminal.note(host.warning)
    return exitCodes.ok
  },
}
