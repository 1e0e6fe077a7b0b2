import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { onTestFinished } from 'vitest'

/**
 * A directory of the running test alone (0700); it goes when the test ends.
 *
 * @param whenDone when it goes instead: `afterAll` where tests share it
 */
export function scratchDirectory(whenDone: (end: () => void) => void = onTestFinished): string {
  const path = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
  whenDone(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Writes migrations into `<directory>/schema/` and returns what `openDatabase` takes. */
export function writeMigrations(directory: string, sqlByFileName: Readonly<Record<string, string>>): URL {
  const schema = join(directory, 'schema')
  rmSync(schema, { recursive: true, force: true })
  mkdirSync(schema, { mode: 0o700 })
  for (const [name, sql] of Object.entries(sqlByFileName)) writeFileSync(join(schema, name), sql)
  return pathToFileURL(`${schema}/`)
}

/**
 * The same, where the machine has it in memory: for files that are thrown away at once, whose fsyncs are to cost nothing.
 */
export function memoryDirectory(): string {
  const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'claudemesh-test-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}
