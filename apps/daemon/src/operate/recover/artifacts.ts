/**
 * The store of artifacts, recovered: its log is nowhere else, and what can be read of it gives back all the rest. Where
 * some of it is lost, bytes that nothing refers to any more go into open packages before anybody could collect them.
 */
import type { RegistryConfig, SalvagedStore } from '@claudemesh/artifacts'
import { databaseFileOf, isDatabaseMissed } from '../../artifacts/registry-config.ts'
import type { Runtime } from '../../runtime.ts'
import type { RecoverableStore, Salvaged } from './damaged-stores.ts'

/** Null: its database is on a server, whose operator has its backups. */
export function artifactsOf(config: RegistryConfig): RecoverableStore | null {
  const path = databaseFileOf(config)
  if (path === null) return null
  return {
    name: 'artifacts',
    path,
    // The store itself says what is newer.
    migrations: null,
    remedy: 'salvage',
    afterwards:
      'look at what is kept and until when (`claudemesh artifact list`): a hold or a share may be lost with its event',
    isMissed: () => isDatabaseMissed(config),
    salvage: ({ to, runtime }) => salvage(config, { path, to, runtime }),
  }
}

async function salvage(
  config: RegistryConfig,
  { path, to, runtime }: { readonly path: string; readonly to: string; readonly runtime: Runtime },
): Promise<Salvaged> {
  const { openRegistry, salvageStore } = await import('@claudemesh/artifacts')
  const store = await salvageStore({ from: path, to, runtime })
  const notes = describeEvents(store)
  if (store.isWhole) return { tables: store.tables, notes }
  const registry = await openRegistry({ ...config, databaseUrl: `sqlite:${to}` })
  try {
    const { packages, objects, damaged } = await registry.adoptUnreferenced({ actor: 'recover' })
    if (objects > 0) {
      notes.push(
        `${objects} objects that nothing refers to are files of ${packages.join(', ')} now; give up what you do not need with \`claudemesh artifact abort\``,
      )
    }
    if (damaged.length > 0) notes.push(`${damaged.length} objects that nothing refers to are not what their names say`)
  } finally {
    await registry.close()
  }
  return { tables: store.tables, notes }
}

function describeEvents({ events, isWhole }: SalvagedStore): string[] {
  const { kept, lost, restored } = events
  if (isWhole) return [`all ${kept} events are there, and everything that follows from them`]
  return [`${kept} events are there, ${lost} are known to be lost, ${restored} were written again from what others say`]
}
