/**
 * Looks at everything that keeps a member from sending and receiving: this host, its home, the daemon, the broker. Nothing
 * is changed. Each finding ends with the command that mends it.
 */
import { clockToleranceMs, readMeshFile } from '@claudemesh/identity'
import type { Condition } from '@claudemesh/protocol'
import { startCommand } from '../connection.ts'
import { type DaemonState, inspectDaemon } from '../daemon-process.ts'
import { daemonPaths, MeshError, meshFilePath } from '../protocol.ts'
import { probeBroker } from './broker-probe.ts'
import { finding } from './findings.ts'
import { certificateFindings, diskFindings, permissionFindings } from './home-findings.ts'
import { compareVersions } from './versions.ts'

export interface Diagnosis {
  readonly mesh: string
  /** Nothing was found that is worse than worth knowing. */
  readonly healthy: boolean
  /** What was looked at, in order. */
  readonly checked: readonly string[]
  readonly findings: readonly Condition[]
}

export async function diagnose(o: {
  readonly home: string
  readonly mesh: string
  readonly version: string
  /** Looks at the service of the daemon. */
  readonly service: () => Promise<readonly Condition[]>
  readonly now: () => number
}): Promise<Diagnosis> {
  const { home, mesh, version, now } = o
  const checked: string[] = []
  const findings: Condition[] = []
  const look = (what: string, found: readonly Condition[]) => {
    checked.push(what)
    findings.push(...found)
  }
  const paths = daemonPaths(home, mesh)
  const state = await inspectDaemon({ home, mesh })
  const { health } = state
  const daemon = health?.versions.daemon ?? null
  const broker = health?.link.broker_version ?? null
  look('versions', compareVersions({ commandLine: version, node: process.versions.node, daemon, broker }))
  look('permissions', permissionFindings(home, mesh, paths))
  look('daemon', daemonFindings(state, mesh))
  look('service', await o.service())
  if (health === null) look('disk', diskFindings(home))
  const file = readMesh(home, mesh)
  if (file instanceof MeshError) {
    look('mesh file', [finding('mesh_file_unusable', file.message, file.hint)])
  } else {
    look('certificates', certificateFindings(file, now()))
    // A broker of this home is the daemon's to bring up: while there is none, its absence says nothing more.
    if (health !== null || !file.broker.local) {
      look('broker', await probeBroker({ url: health?.link.broker_url ?? file.broker.url, clockToleranceMs, now }))
    }
  }
  return { mesh, healthy: findings.every(({ severity }) => severity === 'info'), checked, findings }
}

function daemonFindings({ health, pid, lastExit }: DaemonState, mesh: string): readonly Condition[] {
  if (health !== null) return health.conditions
  if (pid !== null) return [finding('daemon_silent', `pid ${pid}`)]
  const start = `\`${startCommand(mesh)}\``
  if (lastExit === null) return [finding('daemon_down', undefined, start)]
  const { name, reason, remedy } = lastExit
  return [
    finding('daemon_down', `it left with ${name}: ${reason}`, remedy === null ? start : `${remedy} Then: ${start}`),
  ]
}

/** @returns the error that says what is wrong with it */
function readMesh(home: string, mesh: string) {
  try {
    return readMeshFile(meshFilePath(home, mesh))
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
}
