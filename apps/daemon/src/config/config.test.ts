import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { daemonPaths, homePaths, MeshError } from '@claudemesh/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ConfigSources, effectiveConfig, loadConfig } from './config.ts'
import { settingsByName } from './config-keys.ts'
import { lineOf, nearest } from './strict-toml.ts'

let home = ''
beforeEach(() => {
  home = mkdtempSync(`${tmpdir()}/claudemesh-config-`)
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const sources = (over: Partial<ConfigSources> = {}): ConfigSources => ({
  home,
  mesh: 'home',
  flags: {},
  env: {},
  ...over,
})

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

function refusal(load: () => unknown): MeshError {
  try {
    load()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('where a value comes from', () => {
  const port = (over: Partial<ConfigSources>) => {
    const entry = effectiveConfig(sources(over)).find(({ name }) => name === 'ipc.http_port')
    return [entry?.value, entry?.origin.source, entry?.origin.place]
  }

  test('the later of default, home file, mesh file, environment and flag wins, and is remembered', () => {
    expect(port({})).toEqual([0, 'default', null])
    const homeFile = write(homePaths(home).config, '[ipc]\nhttp_port = 1001\n')
    expect(port({})).toEqual([1001, 'file', `${homeFile}:2`])
    const meshFile = write(daemonPaths(home, 'home').config, '\n\n[ipc]\n\nhttp_port = 1002\n')
    expect(port({})).toEqual([1002, 'file', `${meshFile}:5`])
    const env = { CLAUDEMESH_IPC_HTTP_PORT: '1003' }
    expect(port({ env })).toEqual([1003, 'environment', 'CLAUDEMESH_IPC_HTTP_PORT'])
    expect(port({ env, flags: { 'ipc.http_port': '1004' } })).toEqual([1004, 'flag', '--ipc.http_port'])
  })

  test('every setting is listed, with a value of its own form', () => {
    expect(effectiveConfig(sources()).map(({ name }) => name)).toEqual([...settingsByName.keys()])
  })

  test('the result is frozen through and through', () => {
    const { config } = loadConfig(sources())
    expect(Object.isFrozen(config)).toBe(true)
    for (const section of Object.values(config)) expect(Object.isFrozen(section)).toBe(true)
  })
})

describe('what cannot be used is refused with its file, line and key', () => {
  const rows: [text: string, line: number, key: string | undefined, sentence: string][] = [
    ['[ipc]\nhttp_prt = 1\n', 2, 'ipc.http_prt', 'did you mean ipc.http_port?'],
    ['[ipcc]\nhttp_port = 1\n', 1, 'ipcc', 'did you mean ipc?'],
    ['[outbox]\n\n# a comment\nmax_age_hours_default = "x"\n', 4, 'outbox.max_age_hours_default', 'must be an integer'],
    ['ipc.http_port = 70000\n', 1, 'ipc.http_port', 'from 0 to 65535'],
    ['[ipc]\nhttp_port = 1.5\n', 2, 'ipc.http_port', 'must be an integer'],
    ['[ipc]\nhttp_port = true\n', 2, 'ipc.http_port', 'must be an integer'],
    ['[ipc]\npublic_health_check = "yes"\n', 2, 'ipc.public_health_check', 'must be true or false'],
    ['[ipc]\ntcp = true\n', 2, 'ipc.tcp', 'must be one of auto, on, off'],
    ['[ipc]\nallowed_origins = "http://x"\n', 2, 'ipc.allowed_origins', 'must be a list'],
    ['[ipc]\nallowed_origins = ["*"]\n', 2, 'ipc.allowed_origins', 'must be a list'],
    ['[broker]\nurl = "http://broker"\n', 2, 'broker.url', 'must be a text like wss://'],
    ['[features]\nrequire = ["telepathy"]\n', 2, 'features.require', 'must be a list of some of'],
    ['log = 3\n', 1, 'log', 'must be a section'],
    ['[log]\n"level" = "loud"\n', 2, 'log.level', 'must be one of trace'],
    ['[disk]\nbudget_bytes = 5\n', 2, 'disk.budget_bytes', 'must be an integer from 1048576'],
    ['a = \n', 1, undefined, ''],
    ['[ipc]\nhttp_port = 1\nhttp_port = 2\n', 3, undefined, ''],
  ]
  test.each(rows)('%j', (text, line, key, sentence) => {
    const file = write(homePaths(home).config, text)
    const error = refusal(() => loadConfig(sources()))
    expect(error.code).toBe('config_invalid')
    expect(error.message).toContain(`${file}:${line}: `)
    expect(error.message).toContain(sentence)
    expect(error.data).toEqual({ file, line, ...(key === undefined ? {} : { key }) })
  })

  test('also from the environment and from flags', () => {
    const environment: [variable: string, text: string, sentence: string][] = [
      ['CLAUDEMESH_IPC_HTTP_PORT', 'http', 'ipc.http_port must be an integer'],
      ['CLAUDEMESH_IPC_HTTP_PORT', '', 'ipc.http_port must be an integer'],
      ['CLAUDEMESH_IPC_HTTP_PRT', '1', 'did you mean ipc.http_port?'],
      ['CLAUDEMESH_IPC_PUBLIC_HEALTH_CHECK', '1', 'must be true or false'],
      ['CLAUDEMESH_LOG_LEVEL', 'LOUD', 'must be one of'],
    ]
    for (const [variable, text, sentence] of environment) {
      const error = refusal(() => loadConfig(sources({ env: { [variable]: text } })))
      expect(error.message).toContain(variable)
      expect(error.message).toContain(sentence)
    }
    expect(refusal(() => loadConfig(sources({ flags: { 'ipc.htp_port': '1' } }))).message).toContain('--ipc.htp_port')
  })

  test('variables of other programs are none of ours', () => {
    const env = { CLAUDEMESH_HOME: '/x', CLAUDEMESH_CRASH_AT: 'x', CLAUDEMESH_BROKER_LEASE_MS: '5', PATH: '/bin' }
    expect(() => loadConfig(sources({ env }))).not.toThrow()
    const { config } = loadConfig(sources({ env: { ...env, CLAUDEMESH_BROKER_URL: 'ws://127.0.0.1:7000' } }))
    expect(config.broker.url).toBe('ws://127.0.0.1:7000')
  })
})

describe('defaults by environment', () => {
  const rows: [variable: string | null, kind: string, tcp: boolean][] = [
    ['CI', 'ci', false],
    ['GITHUB_ACTIONS', 'ci', false],
    ['GITLAB_CI', 'ci', false],
    ['BUILDKITE', 'ci', false],
    ['CIRCLECI', 'ci', false],
    ['JENKINS_URL', 'ci', false],
    ['KUBERNETES_SERVICE_HOST', 'container', false],
    ['RUNPOD_POD_ID', 'container', false],
  ]
  test.each(rows)('%s means %s, TCP: %s', (variable, kind, tcp) => {
    const loaded = loadConfig(sources({ env: variable === null ? {} : { [variable]: 'true' } }))
    expect([loaded.environment.kind, loaded.config.ipc.tcp]).toEqual([kind, tcp])
  })

  test('a choice that is less safe than the default is warned of', () => {
    const less = loadConfig(
      sources({
        env: { CI: 'true', CLAUDEMESH_IPC_TCP: 'on', CLAUDEMESH_IPC_ALLOWED_ORIGINS: 'http://localhost:3000' },
        flags: { 'ipc.public_health_check': 'true', 'features.require': 'concurrent_connection_policy' },
      }),
    )
    expect(less.warnings.map((warning) => warning.split(':')[0])).toEqual([
      'ipc.tcp',
      'ipc.allowed_origins',
      'ipc.public_health_check',
      'features.require',
    ])
    expect(loadConfig(sources({ env: { CI: 'true' } })).warnings).toEqual([])
  })

  test('a relative XDG_RUNTIME_DIR is ignored', () => {
    expect(loadConfig(sources({ env: { XDG_RUNTIME_DIR: 'run' } })).environment.runtimeDirectory).toBe(null)
    expect(loadConfig(sources({ env: { XDG_RUNTIME_DIR: '/run/x' } })).environment.runtimeDirectory).toBe('/run/x')
  })
})

test('lineOf finds a key however it is written', () => {
  const rows: [text: string, section: string, key: string | null, line: number][] = [
    ['[a]\nx = 1\n[b]\nx = 2', 'b', 'x', 4],
    ['[a]\nx = 1\n[b]\nx = 2', 'b', null, 3],
    ['a.x = 1\nb.x = 2', 'b', 'x', 2],
    ['[ "b" ] # why\n"x" = 2', 'b', 'x', 2],
    ['b = { x = 2 }', 'b', 'x', 1],
    ['# [b]\n# x = 1\n[b]\nx=2', 'b', 'x', 4],
  ]
  for (const [text, section, key, line] of rows) expect([text, lineOf(text, section, key)]).toEqual([text, line])
})

test('nearest proposes what is close, and nothing that is not', () => {
  const known = ['ipc.http_port', 'ipc.tcp', 'log.level']
  expect(nearest('ipc.http_prt', known)).toBe('ipc.http_port')
  expect(nearest('something.else', known)).toBe(null)
})

describe('a sink', () => {
  const load = (text: string) => {
    write(homePaths(home).config, text)
    return loadConfig(sources())
  }

  test('has a section of its own, with a default for everything but its destination', () => {
    const { config, entries } = load('[sinks.nightly]\ndestination = "file:///srv/exports"\n')
    expect(config.sinks).toMatchObject([
      { name: 'nightly', schedule: '*/5 * * * *', datasets: ['messages', 'events'], settings: { writer: null } },
    ])
    expect(entries.find(({ name }) => name === 'sinks.nightly.destination')?.origin.place).toMatch(/config.toml:2$/)
  })

  const refused = [
    { text: '[sinks.a]\nwriter = "jsonl"\n', says: 'names no destination' },
    { text: '[sinks.a]\ndestination = "https://x.example"\nwriter = "parquet"\n', says: 'it is one of ndjson' },
    { text: '[sinks.a]\ndestination = "file:///x"\nschedule = "61 * * * *"\n', says: 'no cron expression' },
    { text: '[sinks.A]\ndestination = "file:///x"\n', says: 'is no name of a sink' },
    { text: '[sinks.a]\ndestinations = "file:///x"\n', says: 'did you mean sinks.a.destination?' },
  ]
  for (const { text, says } of refused) {
    test(`of ${JSON.stringify(text)} is refused: ${says}`, () => expect(() => load(text)).toThrow(says))
  }
})
