import type { CommandDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'Look for damage in the stores of a member, and bring back what can be read',
  options: [{ syntax: '--confirm', describe: 'do it; without it nothing is changed' }],
  examples: [
    { line: 'claudemesh daemon recover', describe: 'what is damaged, and what would be done; the daemon is stopped' },
    {
      line: 'claudemesh daemon recover --confirm',
      describe: 'salvage, and move the damaged files aside; nothing is deleted',
    },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { recoverHome, systemRuntime } = await import('@claudemesh/daemon')
    const slug = selectMesh({ environment, mesh })
    const confirm = flags.isSet('confirm')
    const recovery = await recoverHome({ home: environment.home, slug, confirm, runtime: systemRuntime() })
    const damaged = recovery.stores.filter(({ state }) => state === 'damaged')
    const left = confirm ? [] : damaged
    const isPending = recovery.was_interrupted && !confirm
    terminal.print({
      value: { mesh: slug, confirmed: confirm, ...recovery },
      render: (value) => [
        ...value.stores.flatMap((store) => describeStore(store, confirm)),
        ...(value.dead_exported_to === null ? [] : [`sends that had ended without success: ${value.dead_exported_to}`]),
        ...(isPending ? ['an earlier recovery was stopped before its end'] : []),
        ...(isPending || left.length > 0 ? [`  -> claudemesh daemon recover --confirm --mesh ${slug}`] : []),
        ...(left.length === 0 && !isPending ? [`  -> ${startCommand(slug)}`] : []),
      ],
    })
    return left.length > 0 || isPending ? exitCodes.data : exitCodes.ok
  },
}

/** What is shown of a store. */
interface RecoveredStore {
  readonly store: string
  readonly state: 'sound' | 'missing' | 'damaged' | 'newer'
  readonly faults: readonly string[]
  readonly remedy: keyof typeof plans
  readonly afterwards: string
  readonly salvaged: readonly { table: string; rows: number; refused: number; gaps: number }[] | null
  readonly notes: readonly string[]
  readonly moved_to: string | null
}

function describeStore(store: RecoveredStore, confirmed: boolean): string[] {
  if (store.state !== 'damaged') return [`${store.store}: ${sentences[store.state]}`]
  const lines = [`${store.store}: damaged (${store.faults[0]}${more(store.faults.length)})`]
  for (const { table, rows, refused, gaps } of store.salvaged ?? []) {
    const lost = refused + gaps > 0 ? `; ${refused} refused, ${gaps} places could not be read` : ''
    lines.push(`  ${table}: ${rows} rows${lost}`)
  }
  for (const note of store.notes) lines.push(`  ${note}`)
  if (store.moved_to !== null) lines.push(`  the damaged file is ${store.moved_to}`)
  lines.push(`  ${confirmed ? '' : plans[store.remedy]}${store.afterwards}`)
  return lines
}

const sentences = {
  sound: 'sound',
  missing: 'there is none',
  newer: 'written by a newer version of this software, which must be installed to use it',
} as const

const plans = {
  salvage: 'what can be read would be put into a new one; ',
  renew: 'it would be begun anew; ',
  none: '',
} as const

function more(faults: number): string {
  return faults > 1 ? `, and ${faults - 1} more` : ''
}
