import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ShareRequest } from '@claudemesh/protocol/artifacts'
import { findFile, parseReference } from '../../artifacts/reference.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { interruptible } from '../../interruption.ts'
import { formatBytes } from '../../output/quantity.ts'

const expirySecondsMin = 60
const expirySecondsMax = 30 * 86_400

export const command: CommandDefinition = {
  summary: 'Share a file, a directory or a package with a member or a topic, end to end encrypted',
  arguments: [
    {
      syntax: '<what>',
      describe: 'a file or a directory; or of the store: a package id, <package id>/<path>, a content address',
    },
  ],
  options: [
    { syntax: '--to <destination>', describe: '@name, name, member id or #topic' },
    { syntax: '--name <text>', describe: 'what its recipients see; default: its own name' },
    { syntax: '--message <text>', describe: 'what is said with it' },
    { syntax: '--class <class>', describe: 'how long it is kept here; default transient' },
    { syntax: '--expires <duration>', describe: 'how long it can be fetched, 1m to 30d; default 7d' },
    { syntax: '--id <key>', describe: 'idempotency key: with the same key it is shared once' },
  ],
  examples: [
    { line: 'claudemesh artifact share report.pdf --to @reviewer', describe: 'goes out by itself, also later' },
    { line: 'claudemesh artifact share ./build --to "#releases" --expires 1d', describe: 'a directory, to a topic' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [what = ''] = args
    const to = flags.text('to')
    if (to === null) throw invalidUsage('--to is missing', 'Say to whom: --to @name, or --to "#topic".')
    const expiresMs = flags.duration('expires')
    if (expiresMs !== null && !(expiresMs >= expirySecondsMin * 1000 && expiresMs <= expirySecondsMax * 1000)) {
      throw invalidUsage('--expires takes from 1m to 30d')
    }
    const text = <Key extends keyof ShareRequest>(key: Key, value: string | null) =>
      value === null ? {} : ({ [key]: value } as Pick<ShareRequest, Key>)
    const common = {
      to,
      ...text('name', flags.text('name')),
      ...text('message', flags.text('message')),
      ...text('retention_class', flags.text('class')),
      ...text('client_message_id', flags.text('id')),
      ...(expiresMs === null ? {} : { expires_in: expiresMs / 1000 }),
    }
    const shared = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts, files }) => {
          // What is there under that name on this host is what is meant.
          if (existsSync(what)) return await files.share({ path: resolve(what), ...common }, { signal })
          const reference = parseReference(what)
          if (reference.kind === 'content')
            return await files.share({ content_address: reference.address, ...common }, { signal })
          if (reference.kind === 'file') return await files.share({ package_id: reference.id, ...common }, { signal })
          const { file_id } = await findFile(artifacts, reference)
          return await files.share({ file_id, ...common }, { signal })
        }),
    )
    terminal.print({
      value: shared,
      render: ({ share_id, size_bytes, status }) => [
        `${share_id}  ${formatBytes(size_bytes)}  ${status}`,
        '  -> claudemesh artifact shares',
      ],
    })
    return exitCodes.ok
  },
}
