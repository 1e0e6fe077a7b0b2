import { existsSync } from 'node:fs'
import { acceptHost, type HostFingerprint, readAcceptedHost, readHostFingerprint } from '@claudemesh/identity'
import { daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'

/**
 * Makes this host the one that the home belongs on.
 *
 * @returns `changed`: false when it was so already
 * @throws MeshError `mesh_not_configured`, `unsafe_permissions`, `config_invalid`
 */
export function acceptThisHost(o: { readonly home: string; readonly slug: string }): {
  readonly host: HostFingerprint
  readonly changed: boolean
} {
  const meshFile = meshFilePath(o.home, o.slug)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `there is no ${meshFile}` })
  const path = daemonPaths(o.home, o.slug).hostFingerprint
  const accepted = readAcceptedHost(path)
  const host = readHostFingerprint({ persisted: path })
  const changed = accepted?.fingerprint !== host.fingerprint
  if (changed) acceptHost(path, host)
  return { host, changed }
}
