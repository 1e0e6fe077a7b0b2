/**
 * What a host tells of itself that stays the same: read only, and whatever cannot be read is as if it were not there.
 * Which places are asked is data: `hostIdPlaces`, `virtualNames`.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { join } from 'node:path'

/** Where a host is asked. */
export interface HostSources {
  readonly platform: NodeJS.Platform
  /** The directory below which `etc`, `var` and `sys` are. */
  readonly root: string
  /** What a program prints, or null when it fails. */
  readonly run: (program: string, args: readonly string[]) => string | null
  readonly networkInterfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]>
}

export function systemSources(): HostSources {
  return { platform: process.platform, root: '/', run, networkInterfaces }
}

export interface HostId {
  readonly id: string
  readonly basis: 'machine_id' | 'dbus_machine_id' | 'platform_uuid' | 'host_uuid'
}

/** The id of the operating system's installation, or of the machine; null when there is none. */
export function readHostId(sources: HostSources): HostId | null {
  for (const { basis, platforms, pattern, read } of hostIdPlaces) {
    if (!platforms.includes(sources.platform)) continue
    const id = pattern.exec((read(sources) ?? '').trim())?.[1]?.toLowerCase()
    if (id !== undefined && !isBlank(id)) return { id, basis }
  }
  return null
}

/**
 * A MAC address that neither the network nor a person changes by the way; of several the lowest, whatever the
 * interfaces are called. Only Linux tells which addresses are such. Elsewhere there is an id of the machine anyway, and
 * what looks most like one is taken in its place alone.
 */
export function readStableMac(sources: HostSources, options: { readonly asHostId: boolean }): string | null {
  const linux = sources.platform === 'linux'
  if (!linux && !options.asHostId) return null
  const addresses = linux ? readBuiltInAddresses(sources.root) : listNamedAddresses(sources)
  return addresses.filter((address) => macPattern.test(address) && !isBlank(address)).sort()[0] ?? null
}

interface HostIdPlace {
  readonly basis: HostId['basis']
  readonly platforms: readonly NodeJS.Platform[]
  readonly pattern: RegExp
  readonly read: (sources: HostSources) => string | null
}

/** 32 digits and nothing else: before its first start an image has an empty file, or the word `uninitialized`. */
const machineId = /^([0-9a-f]{32})$/i
const uuid = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i

/** In the order in which they are asked. */
const hostIdPlaces: readonly HostIdPlace[] = [
  {
    basis: 'machine_id',
    platforms: ['linux'],
    pattern: machineId,
    read: ({ root }) => readText(join(root, 'etc/machine-id')),
  },
  {
    basis: 'dbus_machine_id',
    platforms: ['linux'],
    pattern: machineId,
    read: ({ root }) => readText(join(root, 'var/lib/dbus/machine-id')),
  },
  {
    basis: 'platform_uuid',
    platforms: ['darwin'],
    pattern: /"IOPlatformUUID" = "([0-9a-f-]{36})"/i,
    read: (sources) => sources.run('/usr/sbin/ioreg', ['-rd1', '-c', 'IOPlatformExpertDevice']),
  },
  {
    basis: 'host_uuid',
    platforms: ['freebsd', 'netbsd', 'openbsd'],
    pattern: uuid,
    read: (sources) => sources.run('/sbin/sysctl', ['-n', 'kern.hostuuid']),
  },
]

const macPattern = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/

/** Firmware that was given no id says nothing but noughts, or nothing but ones. */
function isBlank(id: string): boolean {
  return /^(?:[0:-]*|[f:-]*)$/.test(id)
}

function readBuiltInAddresses(root: string): string[] {
  const directory = join(root, 'sys/class/net')
  return listDirectory(directory).flatMap((name) => readBuiltInAddress(join(directory, name)) ?? [])
}

/** @param path an interface in sysfs */
function readBuiltInAddress(path: string): string | null {
  const device = resolvePath(join(path, 'device'))
  const virtual = device === null
  const removable = device?.includes('/usb') === true
  const wireless = existsSync(join(path, 'wireless')) || existsSync(join(path, 'phy80211'))
  if (virtual || removable || wireless) return null
  // A member of a bond shows the address of the bond, and its own beside it.
  const bonded = readText(join(path, 'bonding_slave/perm_hwaddr'))
  if (bonded !== null) return bonded.trim().toLowerCase()
  const permanent = readText(join(path, 'addr_assign_type'))?.trim() === '0'
  return permanent ? (readText(join(path, 'address'))?.trim().toLowerCase() ?? null) : null
}

/** Tunnels, bridges, containers and virtual machines, by the names that macOS and the BSDs give their interfaces. */
const virtualNames =
  /^(?:anpi|ap|awdl|bridge|carp|docker|enc|epair|feth|gif|ipsec|lagg|llw|lo|p2p|pflog|ppp|stf|tap|tun|utun|vboxnet|veth|vether|vlan|vmnet|vnic|wg|zt)\d*/

function listNamedAddresses(sources: HostSources): string[] {
  return Object.entries(sources.networkInterfaces()).flatMap(([name, addresses]) =>
    virtualNames.test(name) ? [] : (addresses ?? []).filter(({ internal }) => !internal).map(({ mac }) => mac),
  )
}

function readText(path: string): string | null {
  return orNull(() => readFileSync(path, 'utf8'))
}

function listDirectory(path: string): string[] {
  return orNull(() => readdirSync(path)) ?? []
}

function resolvePath(path: string): string | null {
  return orNull(() => realpathSync(path))
}

function run(program: string, args: readonly string[]): string | null {
  return orNull(() =>
    execFileSync(program, args, { encoding: 'utf8', timeout: 5000, stdio: ['ignore', 'pipe', 'ignore'] }),
  )
}

/** Whatever the reason for which a source cannot be read, the next one is asked. */
function orNull<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}
