// The command line of this checkout, built, in a home of its own that is made at the first use: `.dev/`, or where
// CLAUDEMESH_HOME says. `npm run dev` starts its daemon: on its socket, over SQLite and local files.
//
//   node scripts/dev.mjs daemon start --foreground
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build, install, root, run } from './prepare.mjs'

install()
build()
const home = process.env.CLAUDEMESH_HOME ?? join(root, '.dev')
const env = { ...process.env, CLAUDEMESH_HOME: home }
const claudemesh = join(root, 'apps/cli/bin/claudemesh.js')
if (!existsSync(join(home, 'meshes'))) run(process.execPath, [claudemesh, 'init'], { env })

const child = spawn(process.execPath, [claudemesh, ...process.argv.slice(2)], { env, stdio: 'inherit' })
// A terminal sends SIGINT to both; the command decides what becomes of it.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
