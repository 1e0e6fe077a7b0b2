import { resolve } from 'node:path'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Write a finalized package as an OCI image layout, which oras and skopeo read',
  arguments: [
    { syntax: '<package>', describe: 'its id' },
    { syntax: '<directory>', describe: 'does not exist yet, or is empty' },
  ],
  options: [
    { syntax: '--ref <name>', describe: 'the name of the image in the layout; default: the id of the package' },
  ],
  examples: [
    {
      line: 'claudemesh artifact export-oci 01JD... ./layout --ref v1',
      describe: 'then: oras pull --oci-layout ./layout:v1',
    },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [id = '', directory = ''] = args
    const ref = flags.text('ref')
    // The daemon has a working directory of its own.
    const request = { directory: resolve(directory), ...(ref === null ? {} : { ref }) }
    const exported = await withDaemon(invocation, async ({ artifacts }) => await artifacts.exportImage(id, request))
    terminal.print({
      value: { ...exported, directory: request.directory },
      render: ({ image_digest }) => [`${directory}: ${image_digest}`],
    })
    return exitCodes.ok
  },
}
