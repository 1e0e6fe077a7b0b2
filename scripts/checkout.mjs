import { spawnSync } from 'node:child_process'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './prepare.mjs'

/** What git knows and is there; without git the sources, as they come in a package of them. */
export function listCheckout() {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  const paths =
    status === 0
      ? stdout.split('\0')
      : readdirSync(root, { recursive: true }).filter(
          (path) => !/(^|[\\/])(node_modules|dist|\.git|\.dev)([\\/]|$)/.test(path),
        )
  return paths.filter(
    (path) => path !== '' && lstatSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true,
  )
}
