/** Brings the service of a daemon onto this host and takes it away again. Either can be repeated. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { writeFileAtomic } from '@claudemesh/storage'
import { invalidUsage } from '../flags.ts'
import { MeshError } from '../protocol.ts'
import { selfCommand } from '../self-command.ts'
import { describeService, type Host, type Service, type ServiceWish } from './service.ts'

/** Other programs of the user read it; there is no secret in it. */
const fileMode = 0o644

export interface ServicePlace {
  readonly home: string
  readonly mesh: string
  readonly configHome: string
  /** Its share of the memory of all daemons of the home; null: what a daemon may have by itself. */
  readonly memoryBytes: number | null
}

/** Several times what a busy daemon needs. */
const memoryDefault = '512M'

/** @throws MeshError invalid_usage where no manager is known */
export function serviceOf(place: ServicePlace, wish: ServiceWish): Service {
  const { username, uid } = userInfo()
  const { home, mesh, configHome, memoryBytes } = place
  const host: Host = { platform: process.platform, user: { name: username, id: uid, home: homedir() }, configHome }
  const filling = {
    home,
    mesh,
    node: process.execPath,
    claudemesh: selfCommand.at(-1) ?? '',
    user: username,
    memory: memoryBytes === null ? memoryDefault : String(memoryBytes),
  }
  const service = describeService(filling, wish, host)
  if (service !== null) return service
  throw invalidUsage(
    `this system (${process.platform}) has neither systemd nor launchd`,
    'Let your own supervisor run `claudemesh daemon start --foreground`.',
  )
}

/** The one that is there, with its socket if it has one. */
export function installedService(place: ServicePlace, { system }: { readonly system: boolean }): Service {
  const withSocket = serviceOf(place, { system, socketActivation: true })
  const isWhole = withSocket.files.every(({ path }) => existsSync(path))
  return isWhole ? withSocket : serviceOf(place, { system, socketActivation: false })
}

/** What is installed for a daemon, of its user or of the host; empty where no manager is known. */
export function findServices(place: ServicePlace): readonly Service[] {
  if (process.platform !== 'linux' && process.platform !== 'darwin') return []
  return [false, true]
    .map((system) => installedService(place, { system }))
    .filter(({ files }) => files.some(({ path }) => existsSync(path)))
}

/** Has the manager start it, anew if it runs. */
export function restartService({ restart }: Service): void {
  run(restart)
}

/** @returns null when the manager does not answer */
export function isServiceRunning({ ask }: Service): boolean | null {
  const [program = '', ...args] = ask.command
  const { stdout, error } = spawnSync(program, args, { encoding: 'utf8' })
  return error !== undefined || stdout.trim() === '' ? null : ask.running.test(stdout)
}

/** Writes what the manager needs and has it start the daemon. */
export function installService({ files, enable }: Service): void {
  for (const { path, text } of files) {
    writable(path, () => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
      writeFileAtomic(path, text, { mode: fileMode })
    })
  }
  for (const command of enable) run(command)
}

/** @returns whether there was one */
export function uninstallService({ files, disable, forget }: Service): boolean {
  const there = files.filter(({ path }) => existsSync(path))
  if (there.length === 0) return false
  for (const command of disable) run(command)
  for (const { path } of there) writable(path, () => rmSync(path, { force: true }))
  for (const command of forget) run(command)
  return true
}

function writable(path: string, write: () => void): void {
  try {
    write()
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && ['EACCES', 'EPERM', 'EROFS'].includes(String(cause.code))))
      throw cause
    throw new MeshError('start_failed', {
      detail: `${path} cannot be written by this user`,
      hint: 'A service of the whole host is installed by root; without --system it is one of this user.',
      cause,
    })
  }
}

function run([program = '', ...args]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (status === 0) return
  const said = error === undefined ? stderr.trim() || `exit code ${status}` : error.message
  throw new MeshError('start_failed', {
    detail: `\`${[program, ...args].join(' ')}\` failed: ${said}`,
    hint: 'What was written stays, and the same command goes on. Without a service manager: `claudemesh daemon start`.',
  })
}
