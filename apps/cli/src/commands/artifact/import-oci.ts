import { resolve } from 'node:path'
import { classDefault, classes } from '../../artifacts/new-package.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'

export const command: CommandDefinition = {
  summary: 'Make a finalized package of each image of an OCI image layout: of all of them, or of none',
  arguments: [{ syntax: '<directory>', describe: 'a layout, ours or of oras, skopeo or docker' }],
  options: [
    { syntax: '--ref <name>', describe: 'only what the layout lists by this name' },
    { syntax: '--producer <text>', describe: 'who made images that do not say it; default: the name of this host' },
    { syntax: '--class <class>', describe: `how long they are kept: ${classes.join(', ')}; default ${classDefault}` },
    { syntax: '--paths <policy>', describe: 'of images of others: portable (default) or posix' },
  ],
  examples: [
    { line: 'claudemesh artifact import-oci ./layout', describe: 'every blob is checked before anything is made' },
  ],

  async run(invocation) {
    const { args, flags, environment, terminal } = invocation
    const [ref, policy] = [flags.text('ref'), flags.choice('paths', ['portable', 'posix'])]
    const request = {
      directory: resolve(args[0] ?? ''),
      producer: flags.text('producer') ?? environment.hostname,
      retention_class: flags.choice('class', classes) ?? classDefault,
      ...(ref === null ? {} : { ref }),
      ...(policy === null ? {} : { path_policy: policy }),
    }
    const imported = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) => await artifacts.importImages(request, { signal })),
    )
    terminal.print({
      value: imported,
      render: ({ packages }) =>
        packages.length === 0
          ? ['no images']
          : packages.map(({ package_id, imported_from, ref: name }) =>
              [package_id, imported_from, ...(name === null ? [] : [name])].join('  '),
            ),
    })
    return exitCodes.ok
  },
}
