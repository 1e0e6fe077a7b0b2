/** What the store says, in the words of the wire. */
import type { RegistryHealth } from '@claudemesh/artifacts'
import type { ArtifactsHealth } from '@claudemesh/protocol'

export function toHealthView({ status, registryId, database, backends }: RegistryHealth): ArtifactsHealth {
  return {
    status,
    registry: registryId,
    database: { ...database },
    backends: backends.map((backend) => ({
      backend_id: backend.backendId,
      healthy: backend.healthy,
      read_only: backend.readOnly,
      free_bytes: backend.freeBytes,
      total_bytes: backend.totalBytes,
      detail: backend.detail,
    })),
  }
}
