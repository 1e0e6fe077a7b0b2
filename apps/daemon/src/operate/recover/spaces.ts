/** The repository of decisions, recovered: what is whole in it is a log again, and what stands behind a gap is written out. */
import type { SalvagedSpace } from '@claudemesh/decisions'
import type { DaemonPaths } from '@claudemesh/protocol'
import { ensurePrivateDirectory, writeFileAtomic } from '@claudemesh/storage'
import type { SpaceConfig } from '../../config/space-settings.ts'
import type { Runtime } from '../../runtime.ts'
import type { RecoverableStore, Salvaged } from './damaged-stores.ts'

/** Null: it is somewhere else, where other daemons may use it at this moment. */
export function spacesOf({ paths, config }: { paths: DaemonPaths; config: SpaceConfig }): RecoverableStore | null {
  if (config.repository !== null) return null
  const path = paths.spacesRepository
  return {
    name: 'spaces',
    path,
    migrations: null,
    remedy: 'salvage',
    afterwards:
      'a space that is shared gets what is missing from its members; of another one, import a copy that goes on',
    findFaults: async () => {
      const { findRepositoryFaults } = await import('@claudemesh/decisions')
      return findRepositoryFaults(path)
    },
    salvage: ({ to, runtime }) => salvage({ from: path, to, apart: paths.recovered, runtime }),
  }
}

async function salvage(o: { from: string; to: string; apart: string; runtime: Runtime }): Promise<Salvaged> {
  const { salvageRepository, encodeEvent } = await import('@claudemesh/decisions')
  const spaces = await salvageRepository({ from: o.from, to: o.to })
  const notes: string[] = []
  for (const { space, seq, apart, isCut } of spaces) {
    if (isCut) notes.push(`${space} ends at decision ${seq} now: the next one cannot be read`)
    if (apart.length === 0) continue
    ensurePrivateDirectory(o.apart)
    const time = new Date(o.runtime.now()).toISOString().replaceAll(/[-:.]/g, '')
    const path = `${o.apart}/decisions-${space}-${time}.jsonl`
    writeFileAtomic(path, Buffer.concat(apart.map(encodeEvent)), { mode: 0o600 })
    notes.push(`${apart.length} later decisions of ${space} can be read: ${path}`)
  }
  return { tables: spaces.map(toTable), notes }
}

function toTable({ space, seq, apart, isCut }: SalvagedSpace): Salvaged['tables'][number] {
  return { table: space, rows: seq, refused: apart.length, gaps: isCut ? 1 : 0 }
}
