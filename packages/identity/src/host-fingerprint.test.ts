import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { acceptHost, type HostFingerprint, readAcceptedHost, readHostFingerprint } from './host-fingerprint.ts'
import type { HostSources } from './host-sources.ts'

const machineId = '0123456789abcdef0123456789abcdef'
const otherId = 'fedcba9876543210fedcba9876543210'
const uuid = '01234567-89ab-cdef-0123-456789abcdef'
const mac = '52:54:00:12:34:56'
const otherMac = '52:54:00:ff:ff:ff'

let scratch: string
let persisted: string

beforeEach(() => {
  scratch = scratchDirectory()
  persisted = join(scratch, 'home', 'host_fingerprint.json')
})

/** A network interface as the kernel shows it in sysfs. */
interface Interface {
  readonly address?: string
  /** Where its device hangs; left out: it has none. */
  readonly device?: string
  /** 0: the address that it was made with; left out: the kernel does not say. */
  readonly assigned?: number
  readonly wireless?: boolean
  readonly ownAddress?: string
}

/** What stands in the places that are asked. */
interface Host {
  readonly files?: Readonly<Record<string, string>>
  readonly interfaces?: Readonly<Record<string, Interface>>
}

const builtIn: Interface = { address: mac, device: 'pci0000:00/0000:00:03.0', assigned: 0 }

describe('the fingerprint of a Linux host', () => {
  const rows: { name: string; host: Host; basis: string; of: string }[] = [
    {
      name: 'its machine id and the address of its network card',
      host: { files: { 'etc/machine-id': `${machineId}\n` }, interfaces: { eth0: builtIn } },
      basis: 'machine_id',
      of: machineId + mac,
    },
    {
      name: 'its machine id alone, when it has no card',
      host: { files: { 'etc/machine-id': `${machineId}\n` } },
      basis: 'machine_id',
      of: machineId,
    },
    {
      name: 'its machine id before that of D-Bus',
      host: { files: { 'etc/machine-id': machineId, 'var/lib/dbus/machine-id': otherId } },
      basis: 'machine_id',
      of: machineId,
    },
    {
      name: 'its machine id in whatever case',
      host: { files: { 'etc/machine-id': machineId.toUpperCase() } },
      basis: 'machine_id',
      of: machineId,
    },
    {
      name: 'the machine id of D-Bus, when there is no other',
      host: { files: { 'var/lib/dbus/machine-id': `${otherId}\n` }, interfaces: { eth0: builtIn } },
      basis: 'dbus_machine_id',
      of: otherId + mac,
    },
    ...[
      { name: 'that says that it was not started yet', text: 'uninitialized\n' },
      { name: 'that is empty, as in an image', text: '' },
      { name: 'of nothing but noughts', text: '0'.repeat(32) },
      { name: 'that is too short', text: machineId.slice(1) },
      { name: 'with something behind it', text: `${machineId} ${otherId}` },
    ].map(({ name, text }) => ({
      name: `the machine id of D-Bus, when there is one ${name}`,
      host: { files: { 'etc/machine-id': text, 'var/lib/dbus/machine-id': otherId } },
      basis: 'dbus_machine_id',
      of: otherId,
    })),
    {
      name: 'the address of its card, when it has no id',
      host: { interfaces: { eth0: builtIn } },
      basis: 'mac',
      of: mac,
    },
  ]
  for (const { name, host, basis, of } of rows) {
    test(`is ${name}`, () => {
      const found = readHostFingerprint({ sources: linux(host), persisted })
      expect(found).toEqual({ fingerprint: sha256(of), basis, warning: null })
      expect(existsSync(persisted)).toBe(false)
    })
  }

  const files = { 'etc/machine-id': machineId }
  const steady: { name: string; interfaces: Readonly<Record<string, Interface>> }[] = [
    { name: 'a loopback', interfaces: { lo: { address: '00:00:00:00:00:00', assigned: 0 } } },
    { name: 'a bridge', interfaces: { docker0: { address: '02:42:ac:11:00:01', assigned: 3 } } },
    { name: 'one end of a pair, as containers have it', interfaces: { veth1: { address: otherMac, assigned: 3 } } },
    { name: 'a tunnel, which has no address', interfaces: { wg0: { address: '', assigned: 0 } } },
    { name: 'a bond over cards', interfaces: { bond0: { address: mac, assigned: 2 } } },
    { name: 'a wireless card', interfaces: { wlan0: { ...builtIn, address: otherMac, wireless: true } } },
    { name: 'a dock', interfaces: { enx1: { ...builtIn, device: 'pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0' } } },
    { name: 'a card with an address made up by its driver', interfaces: { eth1: { ...builtIn, assigned: 1 } } },
    { name: 'a card with an address set by a person', interfaces: { eth1: { ...builtIn, assigned: 3 } } },
    {
      name: 'a card of which the kernel says too little',
      interfaces: { eth1: { address: mac, device: 'pci0000:00/1' } },
    },
    { name: 'a card without an address', interfaces: { ib0: { device: 'pci0000:00/2', assigned: 0 } } },
    { name: 'a card with an address of another kind', interfaces: { ib0: { ...builtIn, address: `${mac}:${mac}` } } },
    {
      name: 'a card of which nobody set the address',
      interfaces: { eth9: { ...builtIn, address: '00:00:00:00:00:00' } },
    },
  ]
  for (const { name, interfaces } of steady) {
    test(`does not change with ${name}`, () => {
      const found = readHostFingerprint({ sources: linux({ files, interfaces }), persisted })
      expect(found.fingerprint).toBe(sha256(machineId))
    })
  }

  test('is the same whatever its cards are called', () => {
    const second = { ...builtIn, address: otherMac, device: 'pci0000:00/0000:00:04.0' }
    for (const interfaces of [
      { eth0: builtIn, eth1: second },
      { eth0: second, eth1: builtIn },
      { enp0s3: builtIn, enp0s4: second },
    ]) {
      const found = readHostFingerprint({ sources: linux({ files, interfaces }), persisted })
      expect(found.fingerprint).toBe(sha256(machineId + mac))
    }
  })

  test('is the same whether its card is part of a bond yet or not', () => {
    const bonded = { ...builtIn, address: otherMac, assigned: 3, ownAddress: `${mac}\n` }
    for (const eth0 of [builtIn, bonded]) {
      const found = readHostFingerprint({ sources: linux({ files, interfaces: { eth0 } }), persisted })
      expect(found.fingerprint).toBe(sha256(machineId + mac))
    }
  })

  test('is another one on a copy of the machine with a card of its own', () => {
    const copy = { ...builtIn, address: otherMac }
    const [one, other] = [builtIn, copy].map((eth0) =>
      readHostFingerprint({ sources: linux({ files, interfaces: { eth0 } }), persisted }),
    )
    expect(one?.fingerprint).not.toBe(other?.fingerprint)
  })

  test('is found on this host, twice the same', () => {
    expect(readHostFingerprint({ persisted })).toEqual(readHostFingerprint({ persisted }))
  })
})

describe('the fingerprint of other hosts', () => {
  const ioreg = `+-o Root\n    {\n      "IOPlatformUUID" = "${uuid.toUpperCase()}"\n      "model" = <"Mac">\n    }\n`
  const rows: {
    name: string
    platform: NodeJS.Platform
    printed?: string
    macs?: Record<string, string>
    basis: string
    of: string
  }[] = [
    { name: 'macOS is the UUID of its platform', platform: 'darwin', printed: ioreg, basis: 'platform_uuid', of: uuid },
    {
      name: 'macOS does not change with its addresses',
      platform: 'darwin',
      printed: ioreg,
      macs: { en0: mac },
      basis: 'platform_uuid',
      of: uuid,
    },
    { name: 'FreeBSD is its host UUID', platform: 'freebsd', printed: `${uuid}\n`, basis: 'host_uuid', of: uuid },
    { name: 'OpenBSD is its host UUID', platform: 'openbsd', printed: `${uuid}\n`, basis: 'host_uuid', of: uuid },
    {
      name: 'a host without an id is the lowest address of its cards, virtual ones excluded',
      platform: 'freebsd',
      printed: '00000000-0000-0000-0000-000000000000\n',
      macs: {
        lo0: '00:00:00:00:00:00',
        bridge0: '02:00:00:00:00:01',
        tap3: '02:00:00:00:00:02',
        em1: otherMac,
        em0: mac,
      },
      basis: 'mac',
      of: mac,
    },
    {
      name: 'a host of another kind is the address of its card',
      platform: 'sunos',
      macs: { net0: mac },
      basis: 'mac',
      of: mac,
    },
  ]
  for (const { name, platform, printed = null, macs = {}, basis, of } of rows) {
    test(`${name}`, () => {
      const sources = { ...silent(platform), run: () => printed, networkInterfaces: () => addressesOf(macs) }
      expect(readHostFingerprint({ sources, persisted })).toEqual({ fingerprint: sha256(of), basis, warning: null })
    })
  }

  test('is asked of the programs that the system has for it', () => {
    const asked: string[] = []
    for (const platform of ['darwin', 'freebsd', 'linux', 'win32'] as const) {
      const run = (program: string, args: readonly string[]) => {
        asked.push([program, ...args].join(' '))
        return null
      }
      readHostFingerprint({ sources: { ...silent(platform), run }, persisted })
    }
    expect(asked).toEqual(['/usr/sbin/ioreg -rd1 -c IOPlatformExpertDevice', '/sbin/sysctl -n kern.hostuuid'])
  })
})

describe('a host on which nothing can be read', () => {
  test('gets a random id, keeps it, and is told that a copy would go unnoticed', () => {
    const found = readHostFingerprint({ sources: linux({}), persisted })
    expect(found).toMatchObject({ basis: 'random', fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(found.warning).toContain('copy')
    expect(readHostFingerprint({ sources: linux({}), persisted })).toEqual(found)
    expect(statSync(persisted).mode & 0o777).toBe(0o600)
  })

  test('gets another one than the next such host', () => {
    const ids = ['one', 'other'].map((name) => {
      const path = join(scratch, name, 'host_fingerprint.json')
      return readHostFingerprint({ sources: linux({}), persisted: path }).fingerprint
    })
    expect(new Set(ids).size).toBe(2)
  })

  test('is not the one that was accepted for an id that it had then', () => {
    const accepted = { fingerprint: sha256(machineId), basis: 'machine_id' } as const
    acceptHost(persisted, accepted)
    const found = readHostFingerprint({ sources: linux({}), persisted })
    expect(found.fingerprint).not.toBe(accepted.fingerprint)
    expect(readAcceptedHost(persisted)).toEqual(accepted)
    acceptHost(persisted, found)
    expect(readHostFingerprint({ sources: linux({}), persisted })).toEqual(found)
  })

  test('is told when its random id cannot be kept', () => {
    writeFileSync(join(scratch, 'occupied'), '')
    const below = join(scratch, 'occupied', 'host_fingerprint.json')
    expect(() => readHostFingerprint({ sources: linux({}), persisted: below })).toThrow()
  })
})

describe('host_fingerprint.json', () => {
  const host = { fingerprint: sha256('host'), basis: 'mac' } as const

  test('says which host was accepted, and nothing before that', () => {
    expect(readAcceptedHost(persisted)).toBeNull()
    const found: HostFingerprint = { ...host, warning: null }
    acceptHost(persisted, found)
    expect(readAcceptedHost(persisted)).toEqual(host)
    expect(JSON.parse(readFileSync(persisted, 'utf8'))).toEqual({ version: 1, ...host })
  })

  test('that others can read is refused', () => {
    acceptHost(persisted, host)
    chmodSync(persisted, 0o644)
    expect(codeOf(() => readAcceptedHost(persisted))).toBe('unsafe_permissions')
  })

  for (const text of ['', '[]', JSON.stringify({ version: 1, ...host, basis: 'guess' })]) {
    test(`that says ${text || 'nothing'} is refused`, () => {
      acceptHost(persisted, host)
      writeFileSync(persisted, text)
      expect(codeOf(() => readAcceptedHost(persisted))).toBe('config_invalid')
    })
  }
})

/** Real files in a directory that takes the place of the root. */
function linux(host: Host): HostSources {
  const root = join(scratch, createHash('sha256').update(JSON.stringify(host)).digest('hex'))
  for (const [path, text] of Object.entries(host.files ?? {})) writeBelow(root, path, text)
  for (const [name, shown] of Object.entries(host.interfaces ?? {})) {
    const path = `sys/class/net/${name}`
    mkdirSync(join(root, path), { recursive: true })
    if (shown.address !== undefined) writeBelow(root, `${path}/address`, `${shown.address}\n`)
    if (shown.assigned !== undefined) writeBelow(root, `${path}/addr_assign_type`, `${shown.assigned}\n`)
    if (shown.ownAddress !== undefined) writeBelow(root, `${path}/bonding_slave/perm_hwaddr`, shown.ownAddress)
    if (shown.wireless) mkdirSync(join(root, path, 'wireless'))
    if (shown.device !== undefined) {
      const device = join(root, 'sys/devices', shown.device)
      mkdirSync(device, { recursive: true })
      symlinkSync(device, join(root, path, 'device'))
    }
  }
  return { ...silent('linux'), root }
}

function writeBelow(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

/** A host that tells nothing. */
function silent(platform: NodeJS.Platform): HostSources {
  return { platform, root: join(scratch, 'nowhere'), run: () => null, networkInterfaces: () => ({}) }
}

function addressesOf(macs: Readonly<Record<string, string>>): ReturnType<HostSources['networkInterfaces']> {
  return Object.fromEntries(
    Object.entries(macs).map(([name, mac]) => [
      name,
      [{ address: '192.0.2.1', netmask: '255.255.255.0', cidr: null, family: 'IPv4', internal: name === 'lo0', mac }],
    ]),
  )
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error.code
    throw error
  }
  return expect.fail('nothing was thrown')
}
