import { packageOptions, readNewPackage } from '../../artifacts/new-package.ts'
import { renderPackage } from '../../artifacts/render.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Make an empty package, into which files can be put until it is finalized',
  arguments: [{ syntax: '<name>', describe: 'what people call it; need not be unique' }],
  options: [
    ...packageOptions,
    { syntax: '--id <key>', describe: 'idempotency key: with the same key and package it is made once' },
  ],
  examples: [
    { line: 'claudemesh artifact create report --meta build=4711', describe: 'prints its id' },
    {
      line: 'claudemesh artifact create nightly --class release-evidence --id nightly-2026-11-21',
      describe: 'safe to be repeated',
    },
  ],

  async run(invocation) {
    const { args, flags, environment, terminal } = invocation
    const [name = ''] = args
    const request = readNewPackage(flags, { name, host: environment.hostname })
    const idempotencyKey = flags.text('id')
    const made = await withDaemon(invocation, async ({ artifacts }) => {
      const created = await artifacts.createPackage(request, idempotencyKey === null ? {} : { idempotencyKey })
      return await artifacts.package(created.package_id)
    })
    terminal.print({ value: made, render: renderPackage })
    return exitCodes.ok
  },
}
