/** What the documents tell people to type, typed. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { resolveCommand } from '../../apps/cli/src/command-tree.ts'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { readText } from '../tidy/sources.ts'
import { CommandLine, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)

beforeAll(() => {
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const { pid } = line.json<{ pid: number }>(['daemon', 'start'])
  return () => killIfThere(pid)
}, 60_000)

/** The lines of the first block of shell after a heading. */
function shellLines(document: string, heading: string): readonly string[] {
  const [, block = ''] = /```sh\n(.*?)```/s.exec(document.slice(document.indexOf(`${heading}\n`))) ?? []
  return block.trimEnd().split('\n')
}

test('every line of docs/artifacts.md does what it says', () => {
  const directory = scratchDirectory()
  mkdirSync(join(directory, 'report'))
  writeFileSync(join(directory, 'report/summary.txt'), 'all is well\n')
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'claudemesh'), `#!/bin/sh\nexec "${process.execPath}" "${claudemeshBin}" "$@"\n`)
  chmodSync(join(bin, 'claudemesh'), 0o755)
  const env: Record<string, string> = { ...cleanEnvironment(), CLAUDEMESH_HOME: line.home }
  env['PATH'] = `${bin}:${env['PATH']}`
  const outputs = shellLines(readText('docs/artifacts.md'), '## From the command line').map((command) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: directory, env, encoding: 'utf8' })
    expect(status, `${command}\n${stderr}`).toBe(0)
    env['PACKAGE'] ??= /[0-9A-Z]{26}/.exec(stdout)?.[0] ?? ''
    return stdout
  })
  expect(outputs.length).toBeGreaterThan(10)
  expect(outputs).toContain('all is well\n')
  expect(JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'))).toMatchObject({ manifest_version: 1 })
})

test('every command that README.md and the documents of artifacts name is there', () => {
  const documents = ['README.md', 'docs/artifacts.md', 'apps/cli/README.md', 'packages/artifacts/README.md']
  const named = documents.flatMap((path) => [
    ...readText(path).matchAll(/\bclaudemesh (artifact [a-z-]+(?: [a-z-]+)?)/g),
  ])
  expect(named.length).toBeGreaterThan(15)
  const missing = named.filter(([, words = '']) => !['command', 'help'].includes(resolveCommand(words.split(' ')).kind))
  expect(missing.map(([text]) => text)).toEqual([])
})
