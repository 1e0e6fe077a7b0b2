import type { CommandDefinition } from '../../command.ts'
import { type ExitCode, exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Run a broker in the foreground',
  options: [
    { syntax: '--data <directory>', describe: 'where its database is; default: broker/ in the home' },
    {
      syntax: '--database-url <url>',
      describe:
        'postgres:// URL of the database of a team, instead of --data; with a password it belongs in CLAUDEMESH_BROKER_DATABASE_URL',
    },
    { syntax: '--host <address>', describe: 'address to listen on; default 127.0.0.1' },
    { syntax: '--port <port>', describe: 'port to listen on, 0 for any; default 7520' },
    {
      syntax: '--public-url <url>',
      describe: 'ws:// or wss:// URL by which daemons reach it; repeatable',
      repeatable: true,
    },
    {
      syntax: '--registration <mode>',
      describe: 'open or closed to meshes it does not know yet; default open on loopback alone',
    },
    {
      syntax: '--tls-cert <file>',
      describe: 'PEM certificate chain: the broker ends TLS itself; read again on SIGHUP',
    },
    { syntax: '--tls-key <file>', describe: 'PEM private key of --tls-cert' },
    {
      syntax: '--trusted-proxy <address>',
      describe: 'address or network of a proxy whose X-Forwarded-For is believed; repeatable',
      repeatable: true,
    },
    { syntax: '--idle-exit <seconds>', describe: 'leave when nobody was connected for so long' },
  ],
  examples: [
    { line: 'claudemesh broker start', describe: 'for members on this host' },
    {
      line: 'claudemesh broker start --data /var/lib/claudemesh --host 0.0.0.0 --port 7440 --public-url wss://mesh.example.org --registration open',
      describe:
        'for members on other hosts, behind a proxy that ends TLS; without --registration open once your mesh has connected',
    },
    {
      line: 'claudemesh broker start --host 0.0.0.0 --database-url postgres://mesh@db.example.org/mesh --registration open',
      describe: 'one of any number of brokers over one PostgreSQL database; its log is the standard error',
    },
  ],

  async run({ args, flags, environment }) {
    if (args.length > 0) throw invalidUsage('broker start takes no arguments')
    const host = flags.text('host')
    const port = flags.integer('port', { min: 0, max: 65_535 })
    const registration = flags.choice('registration', ['open', 'closed'])
    const idleExit = flags.integer('idle-exit', { min: 1, max: 86_400 })
    const publicUrls = flags.texts('public-url')
    const trustedProxies = flags.texts('trusted-proxy')
    const databaseUrl = flags.text('database-url')
    const data = flags.text('data')
    if (databaseUrl !== null && data !== null) throw invalidUsage('--data and --database-url exclude each other')
    const tls = readTls(flags.text('tls-cert'), flags.text('tls-key'))
    const { runBroker } = await import('@claudemesh/broker')
    const exitCode = await runBroker({
      data: data ?? environment.brokerData,
      // Named on the command line, a directory goes before a database that the environment names.
      ...(databaseUrl === null && data === null ? {} : { databaseUrl }),
      ...(host === null ? {} : { host }),
      ...(port === null ? {} : { port }),
      ...(registration === null ? {} : { registration }),
      ...(idleExit === null ? {} : { idleExitMs: idleExit * 1000 }),
      ...(publicUrls.length === 0 ? {} : { publicUrls }),
      ...(trustedProxies.length === 0 ? {} : { trustedProxies }),
      ...(tls === null ? {} : { tls }),
    })
    return exitCode === 0 ? exitCodes.ok : (exitCode as ExitCode)
  },
}

function readTls(cert: string | null, key: string | null): { readonly cert: string; readonly key: string } | null {
  if (cert === null && key === null) return null
  if (cert === null || key === null) throw invalidUsage('--tls-cert and --tls-key are given together')
  return { cert, key }
}
