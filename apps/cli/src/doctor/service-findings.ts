/** What there is to say of the service of a daemon, where one is installed. */
import { existsSync, readFileSync } from 'node:fs'
import type { Condition } from '@claudemesh/protocol'
import type { Environment } from '../environment.ts'
import { MeshError } from '../protocol.ts'
import { findServices, isServiceRunning } from '../services/install.ts'
import { servicePlace } from '../services/place.ts'
import type { Service } from '../services/service.ts'
import { finding } from './findings.ts'

export async function serviceFindings(environment: Environment, mesh: string): Promise<readonly Condition[]> {
  try {
    return findServices(await servicePlace(environment, mesh)).flatMap(findingsOf)
  } catch (error) {
    // A configuration that cannot be read is told of where the daemon is looked at.
    if (error instanceof MeshError && error.code === 'config_invalid') return []
    throw error
  }
}

function findingsOf(service: Service): readonly Condition[] {
  const present = service.files.map(({ path, text }) => ({ path, text, found: textOf(path) }))
  const program = service.interpreter(present[0]?.found ?? '')
  const remedy = `\`${installCommand(service)}\``
  const isDown = isServiceRunning(service) === false
  return [
    ...(program !== null && !existsSync(program) ? [finding('service_interpreter_gone', program, remedy)] : []),
    ...(isDown ? [finding('service_down', service.name)] : []),
    ...present
      .filter(({ text, found }) => found !== null && found !== text)
      .map(({ path }) => finding('service_differs', path, remedy)),
  ]
}

function textOf(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8') : null
}

/** The one that wrote it, and writes it as it should be. */
function installCommand({ files, isOfHost }: Service): string {
  const options = [...(isOfHost ? ['--system'] : []), ...(files.length > 1 ? ['--socket-activation'] : [])]
  return ['claudemesh daemon install-service', ...options].join(' ')
}
