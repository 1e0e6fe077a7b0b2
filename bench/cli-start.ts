/** What a command of the CLI takes from start to end, against Node starting and doing nothing. */
import { spawnSync } from 'node:child_process'
import { claudemeshBin, cleanEnvironment } from '../test/support/managed-process.ts'
import { TestMesh } from '../test/support/mesh.ts'
import { type Benchmark, type Contest, quantile, type Sample } from './benchmark.ts'

export const cliStart: Benchmark = {
  name: 'cli-start',
  limit: 'Node starts and does nothing',
  figures: [
    { name: 'cli version', about: 'claudemesh --version / node -e 0, in time', target: { atMost: 2.5 } },
    { name: 'cli send', about: 'claudemesh send, daemon running / node -e 0, in time', target: { atMost: 4 } },
    { name: 'cli send queued', about: 'the same with --wait queued, without the broker', target: { atMost: 4 } },
  ],
  prepare,
}

const runs = 5

async function prepare(): Promise<Contest> {
  const mesh = await TestMesh.start(['alice', 'bob'])
  const environment = { ...cleanEnvironment(), CLAUDEMESH_HOME: mesh.member('alice').home }
  const time = (args: readonly string[]) => timeOf(args, environment)
  return {
    subject: () => ({
      'cli version': time([claudemeshBin, '--version']),
      'cli send': time([claudemeshBin, 'send', '--to', '@bob', 'hello']),
      'cli send queued': time([claudemeshBin, 'send', '--to', '@bob', '--wait', 'queued', 'hello']),
    }),
    limit: (): Sample => {
      const ms = time(['-e', '0'])
      return { 'cli version': ms, 'cli send': ms, 'cli send queued': ms }
    },
    close: () => mesh.end(),
  }
}

/** @returns the median of a few runs, in milliseconds */
function timeOf(args: readonly string[], env: Record<string, string>): number {
  const times = Array.from({ length: runs }, () => {
    const started = performance.now()
    const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
    return performance.now() - started
  })
  return quantile(
    times.sort((a, b) => a - b),
    0.5,
  )
}
