/** Which of two parts of claudemesh is behind, when they are not of one release. */
import type { Condition } from '@claudemesh/protocol'
import { finding } from './findings.ts'

/** The oldest Node that is supported (`engines` of the package). */
const nodeMin = '20.19.0'

export interface Versions {
  readonly commandLine: string
  /** Of the Node that runs this. */
  readonly node: string
  readonly daemon: string | null
  readonly broker: string | null
}

export function compareVersions({ commandLine, node, daemon, broker }: Versions): readonly Condition[] {
  return [
    ...(order(node, nodeMin) < 0 ? [finding('node_too_old', `${node} instead of ${nodeMin}`)] : []),
    ...(daemon === null ? [] : daemonSkew(daemon, commandLine)),
    ...(daemon === null || broker === null ? [] : brokerSkew(broker, daemon)),
  ]
}

/** The two are one package: the daemon that was started before an update is the old one. */
function daemonSkew(daemon: string, commandLine: string): readonly Condition[] {
  const difference = order(daemon, commandLine)
  if (difference === 0) return []
  return [finding(difference < 0 ? 'daemon_older' : 'daemon_newer', `daemon ${daemon}, command line ${commandLine}`)]
}

/** The two are updated by different people: within one release they need not be the same. */
function brokerSkew(broker: string, daemon: string): readonly Condition[] {
  const difference = order(release(broker), release(daemon))
  if (difference === 0) return []
  return [finding(difference < 0 ? 'broker_older' : 'broker_newer', `broker ${broker}, daemon ${daemon}`)]
}

function release(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}

/** Negative when the first is older. What comes after `-` or `+` is no part of the order. */
function order(left: string, right: string): number {
  const [a, b] = [numbersOf(left), numbersOf(right)]
  const place = [0, 1, 2].find((index) => a[index] !== b[index])
  return place === undefined ? 0 : (a[place] ?? 0) - (b[place] ?? 0)
}

function numbersOf(version: string): readonly number[] {
  const parts = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version)?.slice(1) ?? []
  return [0, 1, 2].map((index) => Number(parts[index] ?? 0))
}
