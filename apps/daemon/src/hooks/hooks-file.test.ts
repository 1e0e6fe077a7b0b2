import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { readHooksFile } from './hooks-file.ts'

function written(toml: string): string {
  const path = join(scratchDirectory(), 'hooks.toml')
  writeFileSync(path, toml, { mode: 0o600 })
  return path
}

const faults: readonly [toml: string, line: number, says: string][] = [
  ['[on-dmm]\n', 1, 'there is no hook on-dmm'],
  ['[on-dm]\n[on-topic-A]\n', 2, 'there is no hook on-topic-A'],
  ['[on-dm]\ntimeout = 3\n', 2, 'a hook has no timeout'],
  ['[on-dm]\n\ntimeout_seconds = 0\n', 3, 'timeout_seconds must be an integer from 1 to 3600'],
  ['[on-dm]\ntimeout_seconds = "3"\n', 2, 'timeout_seconds must be an integer'],
  ['[on-dm]\nallow_reply = 1\n', 2, 'allow_reply must be true or false'],
  ['[on-dm]\nparallel = 9\n', 2, 'parallel must be an integer from 1 to 8'],
  ['[on-dm]\ncapabilities = ["dm:send:@bob"]\n', 2, 'capabilities must be a list of texts like'],
  ['[on-dm]\ncapabilities = ["topic:A:post"]\n', 2, 'capabilities must be'],
  ['[on-dm]\ncapabilities = ["reply:event:x"]\n', 2, 'capabilities must be'],
  ['[on-dm]\nredact = ["data.meta"]\n', 2, 'redact must be'],
  ['[on-dm]\nredact = ["$.data["]\n', 2, 'no JSON path'],
  ['[on-dm]\nredact = ["$"]\n', 2, 'redact must be'],
  ['[on-dm]\nsandbox = "docker"\n', 2, 'sandbox must be one of none, bwrap, unshare'],
  ['[pre-send]\nallow_reply = true\n', 2, 'pre-send takes no allow_reply'],
  ['on-dm = true\n', 1, 'on-dm must be a section'],
  ['[on-dm]\n[on-dm]\n', 2, ''],
]

describe('hooks.toml', () => {
  test('gives what it says, and defaults for the rest', async () => {
    const toml = `
      [on-dm]
      timeout_seconds = 5
      allow_reply = true
      capabilities = ["reply:event", "dm:send:<sender>", "topic:ci.builds:post"]
      redact = ["$.data.meta.password"]
      sandbox = "bwrap"
      sandbox_required = true
      parallel = 4
      [pre-send]`
    const defaults = { timeoutMs: 30_000, allowReply: false, capabilities: [], redact: [] }
    expect(await readHooksFile(written(toml))).toEqual([
      {
        ...{ name: 'on-dm', timeoutMs: 5_000, allowReply: true },
        capabilities: ['reply:event', 'dm:send:<sender>', 'topic:ci.builds:post'],
        ...{ redact: ['$.data.meta.password'], sandbox: 'bwrap', sandboxRequired: true, parallel: 4 },
      },
      { ...defaults, name: 'pre-send', sandbox: 'none', sandboxRequired: false, parallel: 1 },
    ])
  })

  test('that is not there names none', async () => {
    expect(await readHooksFile(join(scratchDirectory(), 'hooks.toml'))).toEqual([])
  })

  test.each(faults)('%j is refused with its file and line %i: %s', async (toml, line, says) => {
    const path = written(toml)
    const refused = await readHooksFile(path).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'config_invalid', data: { file: path, line } })
    expect(String(refused)).toContain(says)
  })

  test('that others can write is not read', async () => {
    const path = written('[on-dm]')
    chmodSync(path, 0o620)
    await expect(readHooksFile(path)).rejects.toMatchObject({ code: 'unsafe_permissions' })
  })
})
