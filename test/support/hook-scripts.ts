/** Hooks as a user writes them: executables in the directory of a daemon, and their hooks.toml. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes an executable. Without a first line of its own it is a script of the shell. */
export function writeHook(directory: string, name: string, script: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, name)
  writeFileSync(path, script.startsWith('#!') ? script : `#!/bin/sh\n${script}\n`, { mode: 0o700 })
  return path
}

/** A script that Node runs, wherever this one is installed: hooks have a PATH of their own. */
export function nodeScript(source: string): string {
  return `#!${process.execPath}\n${source}\n`
}

export function writeHooksFile(directory: string, toml: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, 'hooks.toml'), toml, { mode: 0o600 })
}

/** Processes that say in their environment that they are hooks of a daemon. Where `/proc` is, all of them. */
export function hookProcesses(daemonDirectory: string): readonly number[] {
  const mark = `CLAUDEMESH_DAEMON=${daemonDirectory}`
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)
      } catch {
        // It has ended meanwhile.
        return false
      }
    })
    .map(Number)
}
