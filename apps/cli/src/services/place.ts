import type { Environment } from '../environment.ts'
import type { ServicePlace } from './install.ts'

/** Of which daemon a service is, with what the configuration of its home gives it. @throws MeshError `config_invalid` */
export async function servicePlace({ home, configHome }: Environment, mesh: string): Promise<ServicePlace> {
  const { effectiveConfig, memoryShareBytes } = await import('@claudemesh/daemon')
  const entries = effectiveConfig({ home, mesh, flags: {} })
  return { home, mesh, configHome, memoryBytes: memoryShareBytes(home, entries) }
}
