import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { limitsDefault } from '@claudemesh/artifacts'
import { daemonPaths } from '@claudemesh/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { effectiveConfig, loadConfig } from './config.ts'

let home = ''
beforeEach(() => {
  home = mkdtempSync(`${tmpdir()}/claudemesh-config-`)
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const load = (env: Record<string, string> = {}) => loadConfig({ home, mesh: 'home', flags: {}, env })

function write(text: string): void {
  const { config, directory } = daemonPaths(home, 'home')
  mkdirSync(directory, { recursive: true })
  writeFileSync(config, text)
}

describe('the settings of artifacts', () => {
  test('have the defaults of the store itself', () => {
    const { artifacts } = load().config
    const { pageRowsMax: _, ...limits } = limitsDefault
    expect(artifacts).toEqual({
      databaseUrl: null,
      storageRoot: null,
      retention: {},
      gcGraceMs: 24 * 3_600_000,
      scrubBytesPerSecond: 262_144,
      autoFetchBytesMax: 16 * 1024 * 1024,
      limits,
      backend: 'local',
      s3: null,
    })
  })

  test('name a bucket, and where its keys are found', () => {
    write(
      [
        '[artifacts]',
        'backend = "s3"',
        '[artifacts.s3]',
        'bucket = "artifacts"',
        'endpoint_url = "http://127.0.0.1:9000"',
        'secret_key_ref = "file:/run/secrets/s3"',
        'force_path_style = true',
      ].join('\n'),
    )
    expect(load().config.artifacts).toMatchObject({
      backend: 's3',
      s3: {
        bucket: 'artifacts',
        endpointUrl: 'http://127.0.0.1:9000',
        accessKeyRef: 'env:AWS_ACCESS_KEY_ID',
        secretKeyRef: 'file:/run/secrets/s3',
        forcePathStyle: true,
      },
    })
  })

  test('hold no key themselves', () => {
    write('[artifacts.s3]\nbucket = "artifacts"\nsecret_key_ref = "wJalrXUtnFEMI/K7MDENG"')
    expect(() => load()).toThrow(/secret_key_ref/)
  })

  test('are read from sections within their section', () => {
    write(
      [
        '[artifacts]',
        'database_url = "postgres://host/db"',
        'storage_root = "/srv/artifacts"',
        'scrub_rate = 0',
        '[artifacts.retention]',
        'raw-evidence = 60',
        'transient = "never"',
        '[artifacts.limits]',
        'file_bytes_max = 1000',
      ].join('\n'),
    )
    const { artifacts } = load().config
    expect(artifacts).toMatchObject({
      databaseUrl: 'postgres://host/db',
      storageRoot: '/srv/artifacts',
      scrubBytesPerSecond: null,
      retention: { 'raw-evidence': 60, transient: null },
    })
    expect(artifacts.limits.fileBytesMax).toBe(1000)
    expect(artifacts.limits.filesMax).toBe(limitsDefault.filesMax)
  })

  test('are read from the three documented variables, and from one for every other setting', () => {
    const { config } = load({
      CLAUDEMESH_ARTIFACTS_DATABASE_URL: 'sqlite:/srv/registry.db',
      CLAUDEMESH_ARTIFACTS_STORAGE_ROOT: '/srv/objects',
      CLAUDEMESH_LOG_LEVEL: 'warn',
      CLAUDEMESH_ARTIFACTS_RETENTION_RAW_EVIDENCE: '3600',
      CLAUDEMESH_ARTIFACTS_LIMITS_FILES_MAX: '10',
    })
    expect(config.artifacts.databaseUrl).toBe('sqlite:/srv/registry.db')
    expect(config.artifacts.storageRoot).toBe('/srv/objects')
    expect(config.log.level).toBe('warn')
    expect(config.artifacts.retention).toEqual({ 'raw-evidence': 3600 })
    expect(config.artifacts.limits.filesMax).toBe(10)
  })

  const refused: [text: string, sentence: string][] = [
    ['[artifacts]\ndatabase_url = "mysql://x"\n', ':2: artifacts.database_url must be a text like postgres://'],
    ['[artifacts]\ndatabase_url = "sqlite:relative.db"\n', ':2: artifacts.database_url must be a text like'],
    ['[artifacts]\nstorage_root = "relative"\n', ':2: artifacts.storage_root must be a text like /srv'],
    ['[artifacts]\nretention = 3\n', ':2: artifacts.retention must be a section: [artifacts.retention]'],
    [
      '[artifacts.retention]\nraw-evidense = 3\n',
      ':2: there is no setting artifacts.retention.raw-evidense; did you mean',
    ],
    [
      '[artifacts.retention]\nraw-evidence = "long"\n',
      ':2: artifacts.retention.raw-evidence must be a number of seconds',
    ],
    ['[artifacts.retention]\nraw-evidence = 0\n', 'must be a number of seconds from 1'],
    ['[artifacts.limits]\ntails_max = 0\n', ':2: artifacts.limits.tails_max must be an integer from 1'],
    ['[artifacts.limit]\ntails_max = 1\n', ':1: there is no setting artifacts.limit'],
  ]
  test.each(refused)('%j is refused', (text, sentence) => {
    write(text)
    expect(() => load()).toThrow(sentence)
  })

  test('a password in the URL of the database is used, and shown to nobody', () => {
    const url = 'postgres://me:hunter2@host:5432/db?sslmode=require&password=hunter2'
    const sources = { home, mesh: 'home', flags: { 'artifacts.database_url': url }, env: {} }
    expect(loadConfig(sources).config.artifacts.databaseUrl).toBe(url)
    const shown = effectiveConfig(sources).find(({ name }) => name === 'artifacts.database_url')
    expect(shown?.value).toBe('postgres://me:***@host:5432/db?sslmode=require&password=***')
    expect(JSON.stringify(effectiveConfig(sources))).not.toContain('hunter2')
  })
})
