/**
 * Takes everything away that runs or is known on this host because of this home: services, daemons, the broker that they brought
 * up, what agents were told. What the home holds stays, unless it is purged.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isLocked } from '@claudemesh/storage'
import { inspectDaemon, stopDaemon } from '../daemon-process.ts'
import type { Environment } from '../environment.ts'
import { applyChanges } from '../install/apply.ts'
import { agentClients, changesFor } from '../install/client-files.ts'
import { listMeshes } from '../mesh-selection.ts'
import { homePaths, MeshError } from '../protocol.ts'
import { findServices, uninstallService } from '../services/install.ts'
import type { Service } from '../services/service.ts'

export interface Removal {
  readonly services: readonly string[]
  /** Meshes whose daemons run. */
  readonly daemons: readonly string[]
  /** Whether the broker of this home runs. */
  readonly broker: boolean
  /** Files of agents. */
  readonly agents: readonly string[]
}

const brokerStopMsMax = 10_000
const pollMs = 25

/** What is there to be taken away. Nothing is changed. */
export async function findRemovable(environment: Environment): Promise<Removal> {
  const { home } = environment
  const daemons: string[] = []
  for (const mesh of listMeshes(home)) {
    const { health, pid } = await inspectDaemon({ home, mesh })
    if (health !== null || pid !== null) daemons.push(mesh)
  }
  return {
    services: servicesOf(environment).map(({ name }) => name),
    daemons,
    broker: isBrokerRunning(home),
    agents: agentChanges(environment).map(({ path }) => path),
  }
}

/** @throws MeshError `start_failed` when the manager refuses, `timeout` when a process does not leave */
export async function removeAll(environment: Environment): Promise<void> {
  const { home } = environment
  for (const service of servicesOf(environment)) uninstallService(service)
  for (const mesh of listMeshes(home)) {
    if (existsSync(`${home}/daemon/${mesh}`)) await stopDaemon({ home, mesh })
  }
  await stopBroker(home)
  applyChanges(agentChanges(environment))
}

function servicesOf({ home, configHome }: Environment): readonly Service[] {
  return listMeshes(home).flatMap((mesh) => findServices({ home, configHome, mesh, memoryBytes: null }))
}

/** Of the user's own files: those of a repository are its team's. */
function agentChanges({ clientFolders: folders }: Environment) {
  return agentClients.flatMap((client) => changesFor({ client, scope: 'user', folders, entry: null }))
}

function isBrokerRunning(home: string): boolean {
  return isLocked(join(homePaths(home).broker, 'lock'))
}

/** It was brought up by a daemon, and would leave by itself only after a while. */
async function stopBroker(home: string): Promise<void> {
  const { broker } = homePaths(home)
  const deadline = performance.now() + brokerStopMsMax
  let signalled = false
  while (isBrokerRunning(home)) {
    if (performance.now() > deadline) {
      throw new MeshError('timeout', {
        detail: `the broker of ${broker} did not leave within ${brokerStopMsMax / 1000} s`,
      })
    }
    const path = join(broker, 'pid')
    const pid = !signalled && existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
    if (pid > 1) {
      signalled = true
      process.kill(pid, 'SIGTERM')
    }
    await delay(pollMs)
  }
}
