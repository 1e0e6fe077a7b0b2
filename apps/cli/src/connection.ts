/** A command's connection to the daemon of its mesh, and what to say when nobody answers. */
import type { MeshClient } from '@claudemesh/client'
import type { Invocation } from './command.ts'
import { readLastExit } from './last-exit.ts'
import { selectMesh } from './mesh-selection.ts'
import { formatTime } from './output/quantity.ts'
import { daemonPaths, MeshError } from './protocol.ts'

/**
 * Runs `use` with a client of the selected mesh's daemon.
 *
 * @throws MeshError daemon_unreachable, which says why the daemon is down when it left word
 */
export async function withDaemon<Result>(
  invocation: Invocation,
  use: (client: MeshClient) => Promise<Result>,
): Promise<Result> {
  const { openClient } = await import('@claudemesh/client')
  const { home } = invocation.environment
  const mesh = selectMesh(invocation)
  const client = openClient({ home, mesh })
  try {
    return await use(client)
  } catch (error) {
    throw error instanceof MeshError && error.code === 'daemon_unreachable' ? explain(error, { home, mesh }) : error
  } finally {
    await client.close()
  }
}

/** The command that starts the daemon of a mesh. */
export function startCommand(mesh: string): string {
  return mesh === 'home' ? 'claudemesh daemon start' : `claudemesh daemon start --mesh ${mesh}`
}

function explain(error: MeshError, o: { readonly home: string; readonly mesh: string }): MeshError {
  const lastExit = readLastExit(daemonPaths(o.home, o.mesh).lastExit)
  const start = `Start it with \`${startCommand(o.mesh)}\`.`
  if (lastExit === null) {
    return new MeshError(error.code, {
      detail: `the daemon of mesh ${o.mesh} is not running (${error.message})`,
      data: error.data,
      hint: start,
      cause: error,
    })
  }
  return new MeshError(error.code, {
    detail: `the daemon of mesh ${o.mesh} is not running: at ${formatTime(lastExit.at)} it left with ${lastExit.name}: ${lastExit.reason}`,
    data: { ...error.data, last_exit: lastExit },
    hint: lastExit.remedy === null ? start : `${lastExit.remedy} Then: \`${startCommand(o.mesh)}\`.`,
    cause: error,
  })
}
