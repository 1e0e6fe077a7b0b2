import type { CommandDefinition, Invocation } from '../../command.ts'
import { allOption, forEveryMesh } from '../../every-daemon.ts'
import { type ExitCode, exitCodes } from '../../exit-codes.ts'
import { type Flags, invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { describeRunning } from '../../running.ts'

export const command: CommandDefinition = {
  summary: 'Start the daemon and return when it answers',
  options: [
    allOption,
    { syntax: '--foreground', describe: 'stay in the foreground, for systemd, launchd and containers' },
    {
      syntax: '--set <key=value>',
      describe: 'a setting that overrides file and environment; repeatable',
      repeatable: true,
    },
  ],
  examples: [
    { line: 'claudemesh daemon start', describe: 'in the background; a daemon that runs already is a success' },
    { line: 'claudemesh daemon start --all', describe: 'the daemons of every mesh of this home' },
    {
      line: 'claudemesh daemon start --foreground --set log.level=debug',
      describe: 'under a supervisor, with more log',
    },
  ],

  async run(invocation) {
    const { flags, mesh, environment, terminal } = invocation
    const settings = readSettings(flags)
    if (flags.isSet('all')) {
      if (flags.isSet('foreground')) throw invalidUsage('--foreground is for one daemon', 'Leave --all out.')
      return await startAll(invocation, settings)
    }
    const place = { home: environment.home, mesh: selectMesh({ environment, mesh }) }
    if (flags.isSet('foreground')) return await runForeground(place, settings)
    const { startDaemon } = await import('../../daemon-process.ts')
    const outcome = await startDaemon(place, settings)
    if (outcome.kind === 'failed') throw outcome.error
    terminal.print({
      value: { outcome: outcome.kind, ...describeRunning(outcome.health) },
      render: (value) => [
        value.outcome === 'started'
          ? `the daemon of mesh ${place.mesh} is up (pid ${value.pid})`
          : `the daemon of mesh ${place.mesh} was already running (pid ${value.pid})`,
        `socket: ${value.socket}`,
      ],
    })
    return exitCodes.ok
  },
}

async function startAll(invocation: Invocation, settings: Readonly<Record<string, string>>): Promise<ExitCode> {
  const { startDaemon } = await import('../../daemon-process.ts')
  return await forEveryMesh(invocation, async (place) => {
    const outcome = await startDaemon(place, settings)
    if (outcome.kind === 'failed') throw outcome.error
    const { pid } = outcome.health
    return {
      value: { outcome: outcome.kind, ...describeRunning(outcome.health) },
      line: `${place.mesh}: ${outcome.kind === 'started' ? 'is up' : 'was already running'} (pid ${pid})`,
      exitCode: exitCodes.ok,
    }
  })
}

async function runForeground(
  place: { home: string; mesh: string },
  settings: Readonly<Record<string, string>>,
): Promise<ExitCode> {
  const { runDaemon } = await import('@claudemesh/daemon')
  const { selfCommand } = await import('../../self-command.ts')
  // Its exit codes are sysexits as these are, chosen where the reason is known.
  return (await runDaemon({ ...place, flags: settings, selfCommand })) as ExitCode
}

function readSettings(flags: Flags): Readonly<Record<string, string>> {
  const pairs = flags.pairs('set')
  const settings = Object.fromEntries(pairs)
  if (Object.keys(settings).length < pairs.length) throw invalidUsage('--set names the same setting twice')
  return settings
}
