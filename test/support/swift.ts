/**
 * OpenStack Swift with its S3 API, of one disk, as processes of a test: a proxy that speaks S3, the three servers behind
 * it, and the cache that its accounts are kept in. Debian and Ubuntu have them (docs/testing.md).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'

const programs = [
  'memcached',
  'swift-account-server',
  'swift-container-server',
  'swift-object-server',
  'swift-proxy-server',
]

/** Whether this machine has what it takes. */
export const hasSwift = programs.every((program) => spawnSync('which', [program]).status === 0)

/** What its only user signs with. */
export const swiftKeys = { access: 'test:tester', secret: 'testing' }

const portMsMax = 180_000
const kinds = ['account', 'container', 'object'] as const

/** The one that Debian's packages are for. */
const python = '/usr/bin/python3'
/** Rings of one disk for the servers whose names and ports are given: what swift-ring-builder does in nine processes. */
const ringProgram = `
import sys
from swift.common.ring import RingBuilder
for kind, port in (server.split(':') for server in sys.argv[2:]):
    builder = RingBuilder(4, 1, 1)
    at = {'ip': '127.0.0.1', 'port': int(port)}
    builder.add_dev({'region': 1, 'zone': 1, 'device': 'd1', 'weight': 1, 'meta': '', **at,
                     'replication_ip': at['ip'], 'replication_port': at['port']})
    builder.rebalance()
    builder.get_ring().save(f'{sys.argv[1]}/{kind}.ring.gz')
`

export class Swift {
  readonly url: string
  /** Where the bytes of objects are, as files that end with `.data`. */
  readonly devices: string
  readonly #directory: string
  /** Of the servers for accounts, containers and objects, of the cache, of the proxy. */
  readonly #ports: readonly number[]
  readonly #children = new Map<string, ChildProcess>()

  static async start(): Promise<Swift> {
    const ports = await freePorts(kinds.length + 2)
    const swift = new Swift(mkdtempSync(join(tmpdir(), 'claudemesh-swift-')), ports)
    try {
      for (const name of [...kinds, 'memcached', 'proxy']) swift.#run(name)
      for (const port of ports) await eventually(`port ${port} is open`, () => isOpen(port), { withinMs: portMsMax })
      return swift
    } catch (error) {
      await swift.stop()
      throw error
    }
  }

  private constructor(directory: string, ports: readonly number[]) {
    this.#directory = directory
    this.#ports = ports
    this.devices = join(directory, 'devices')
    this.url = `http://127.0.0.1:${ports[4]}`
    this.#configure()
  }

  /** The proxy dies; the bytes stay. */
  async killProxy(): Promise<void> {
    await end(this.#children.get('proxy'))
  }

  async startProxy(): Promise<void> {
    this.#run('proxy')
    await eventually('the proxy is back', () => isOpen(this.#ports[4] ?? 0), { withinMs: portMsMax })
  }

  async stop(): Promise<void> {
    for (const child of this.#children.values()) await end(child)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #run(name: string): void {
    const [program, ...args] =
      name === 'memcached'
        ? ['memcached', '-u', 'nobody', '-l', '127.0.0.1', '-p', String(this.#ports[3])]
        : [`swift-${name}-server`, join(this.#directory, `${name}.conf`)]
    this.#children.set(name, spawn(program as string, args, { stdio: 'ignore' }))
  }

  #configure(): void {
    const file = (name: string, text: string) => writeFileSync(join(this.#directory, name), text)
    const common = `bind_ip = 127.0.0.1\nworkers = 0\nuser = ${process.env['USER'] ?? 'root'}\nswift_dir = ${this.#directory}\n`
    mkdirSync(join(this.devices, 'd1'), { recursive: true })
    file('swift.conf', '[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = only\ndefault = yes\n')
    kinds.forEach((kind, index) => {
      const port = this.#ports[index]
      file(
        `${kind}.conf`,
        `[DEFAULT]\n${common}bind_port = ${port}\ndevices = ${this.devices}\nmount_check = false\n` +
          `[pipeline:main]\npipeline = ${kind}-server\n[app:${kind}-server]\nuse = egg:swift#${kind}\n`,
      )
    })
    spawnSync(python, [
      '-c',
      ringProgram,
      this.#directory,
      ...kinds.map((kind, index) => `${kind}:${this.#ports[index]}`),
    ])
    const filters = ['catch_errors', 'cache', 'listing_formats', 'bulk', 's3api', 'tempauth', 'slo', 'dlo']
    const settings: Readonly<Record<string, string>> = {
      cache: `use = egg:swift#memcache\nmemcache_servers = 127.0.0.1:${this.#ports[3]}`,
      s3api: 'use = egg:swift#s3api\nlocation = us-east-1',
      tempauth: `use = egg:swift#tempauth\nuser_test_tester = ${swiftKeys.secret} .admin`,
    }
    file(
      'proxy.conf',
      `[DEFAULT]\n${common}bind_port = ${this.#ports[4]}\n[pipeline:main]\npipeline = ${filters.join(' ')} proxy-server\n` +
        '[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n' +
        filters.map((name) => `[filter:${name}]\n${settings[name] ?? `use = egg:swift#${name}`}\n`).join(''),
    )
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
