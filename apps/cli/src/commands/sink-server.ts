import type { CommandDefinition } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { invalidUsage } from '../flags.ts'
import { interruptible } from '../interruption.ts'

export const command: CommandDefinition = {
  summary: 'Receive what sinks send over HTTP, each batch once, into a database of its own',
  options: [
    { syntax: '--ledger <file>', describe: 'its database; default sink-ledger.db' },
    { syntax: '--host <address>', describe: 'address to listen on; default 127.0.0.1' },
    { syntax: '--port <port>', describe: 'port to listen on, 0 for any; default 7540' },
    { syntax: '--token-ref <place>', describe: 'what senders must know: env:NAME or file:/path' },
    { syntax: '--signature-key-ref <place>', describe: 'what bodies must be signed with: env:NAME or file:/path' },
  ],
  examples: [
    { line: 'claudemesh sink-server --port 7540', describe: 'for daemons on this host; rows are at GET /v1/rows' },
  ],

  async run({ args, flags, terminal }) {
    if (args.length > 0) throw invalidUsage('sink-server takes no arguments')
    const { SinkServer } = await import('@claudemesh/sinks')
    const { readSecretReference } = await import('@claudemesh/storage')
    const read = async (reference: string | null) => (reference === null ? null : await readSecretReference(reference))
    await interruptible(async (signal) => {
      const server = await SinkServer.open({
        ledger: flags.text('ledger') ?? 'sink-ledger.db',
        host: flags.text('host') ?? '127.0.0.1',
        port: flags.integer('port', { min: 0, max: 65_535 }) ?? 7540,
        token: await read(flags.text('token-ref')),
        signatureKey: await read(flags.text('signature-key-ref')),
        now: Date.now,
      })
      terminal.print({ value: { url: server.url }, render: () => [`listening on ${server.url}`] })
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await server.close()
      signal.throwIfAborted()
    })
    return exitCodes.ok
  },
}
