/** The settings of all daemons of a home together, and what share of them is one daemon's (03 §5). */
import { MeshError } from '@claudemesh/protocol'
import { meshesOf } from '../home-meshes.ts'
import type { ConfigEntry, Setting, SettingValue } from './setting-forms.ts'

export interface FleetConfig {
  /** How many may run at once; null: any number. */
  readonly daemonsMax: number | null
}

const mebibyte = 1024 * 1024
/** Below it a daemon would spend its time collecting garbage, or not come up. */
const memoryShareMin = 128 * mebibyte
const diskShareMin = mebibyte

export const fleetSettings = {
  fleet: {
    max_daemons: {
      form: { type: 'integer', minimum: 1, maximum: 1024 },
      reload: false,
      default: null,
      describe: 'daemons of this home that may run at once; any number when absent',
    },
    disk_budget_bytes: {
      form: { type: 'integer', minimum: diskShareMin, maximum: Number.MAX_SAFE_INTEGER },
      reload: true,
      default: null,
      describe:
        'bytes that all daemons of this home may use, in equal shares; a disk.budget_bytes of its own counts instead',
    },
    memory_budget_bytes: {
      form: { type: 'integer', minimum: memoryShareMin, maximum: Number.MAX_SAFE_INTEGER },
      reload: false,
      default: null,
      describe: 'memory of all daemons of this home, in equal shares; systemd holds each service to its own',
    },
  },
} as const satisfies Record<string, Record<string, Setting>>

export function toFleetConfig(value: ReadonlyMap<string, SettingValue>): FleetConfig {
  return Object.freeze({ daemonsMax: value.get('fleet.max_daemons') as number | null })
}

/**
 * Among how many a budget is divided: the meshes of the home, or fewer when fewer may run.
 *
 * @param max `fleet.max_daemons`
 */
export function sharesOf(home: string, max: SettingValue): number {
  return Math.max(1, Math.min(meshesOf(home).length, typeof max === 'number' ? max : Number.POSITIVE_INFINITY))
}

/**
 * The settings with the disk budget of this daemon as its share, where it has none of its own.
 *
 * @throws MeshError `config_invalid` when a share is too small to work with
 */
export function withShares(home: string, entries: readonly ConfigEntry[]): readonly ConfigEntry[] {
  const of = (name: string) => entries.find((entry) => entry.name === name)
  const shares = sharesOf(home, of('fleet.max_daemons')?.value ?? null)
  assertEnough(of('fleet.memory_budget_bytes'), shares, memoryShareMin)
  const whole = of('fleet.disk_budget_bytes')
  if (typeof whole?.value !== 'number') return entries
  const value = assertEnough(whole, shares, diskShareMin)
  const origin = { source: whole.origin.source, place: `${whole.origin.place}: ${whole.name} in ${shares} shares` }
  return entries.map((entry) => {
    return entry.name === 'disk.budget_bytes' && entry.value === null ? { ...entry, value, origin } : entry
  })
}

/** @returns the share in bytes, null when there is no budget */
function assertEnough(whole: ConfigEntry | undefined, shares: number, bytesMin: number): number | null {
  if (typeof whole?.value !== 'number') return null
  const share = Math.floor(whole.value / shares)
  if (share >= bytesMin) return share
  throw new MeshError('config_invalid', {
    detail: `${whole.origin.place}: ${whole.name} in ${shares} shares is ${share} bytes for each, and ${bytesMin} is the least`,
    data: { key: whole.name },
  })
}

/** What systemd holds a daemon to; null: what its unit says by itself. */
export function memoryShareBytes(home: string, entries: readonly ConfigEntry[]): number | null {
  const of = (name: string) => entries.find((entry) => entry.name === name)
  return assertEnough(
    of('fleet.memory_budget_bytes'),
    sharesOf(home, of('fleet.max_daemons')?.value ?? null),
    memoryShareMin,
  )
}
