// Brings a fresh clone to the point where it can run: dependencies installed from the lockfile, everything built.
// Both steps find out for themselves when there is nothing to do.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs a command with its output shown; a failure ends this process with the same exit code. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (error !== undefined) throw error
  if (status !== 0) {
    console.error(`${command} ${args.join(' ')}: ${signal === null ? `exit code ${status}` : signal}`)
    process.exit(status ?? 1)
  }
}

/** The path of a program that a dependency brings. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', name)
}

/** The packages and programs of this repository, as paths from its root. */
export function workspaces() {
  return ['packages', 'apps'].flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
}

export function install() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`Node 20.19 or newer is needed; this is ${process.version}. Install it and run this again.`)
    process.exit(1)
  }
  if (isInstalled()) return
  console.log('installing dependencies (better-sqlite3 may compile for a minute) ...')
  run('npm', ['ci', '--no-audit', '--no-fund'], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** npm keeps what it installed beside it: the same packages in the same versions means that nothing changed since. */
function isInstalled() {
  const hidden = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(hidden)) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const present = JSON.parse(readFileSync(hidden, 'utf8')).packages
  return Object.entries(wanted).every(
    ([path, entry]) =>
      !path.startsWith('node_modules/') ||
      entry.link === true ||
      entry.optional === true ||
      present[path]?.version === entry.version,
  )
}

export function build() {
  run(bin('tsc'), ['-b'])
  for (const workspace of workspaces()) copySchemas(join(root, workspace))
  run('node', [join(root, 'scripts', 'bundle.mjs')])
}

/** Migrations are read at run time from beside the code that applies them. */
function copySchemas(directory) {
  const source = join(directory, 'src')
  if (!existsSync(source)) return
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.sql')) continue
    const from = join(entry.parentPath, entry.name)
    cpSync(from, join(directory, 'dist', from.slice(source.length + 1)))
  }
}
