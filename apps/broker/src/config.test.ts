import { expect, test } from 'vitest'
import { loadConfig } from './config.ts'

test('without a word it listens on loopback, and registers meshes there', () => {
  expect(loadConfig({ HOME: '/home/me' }, {})).toMatchObject({
    data: '/home/me/.claudemesh/broker',
    host: '127.0.0.1',
    registration: 'open',
    idleExitMs: null,
    settings: { dedupeMode: 'retention_scoped', dedupeRetentionDays: 30, concurrencyPolicy: 'prefer_newest' },
  })
})

test('on a network it registers nothing unless told to', () => {
  expect(loadConfig({}, { host: '192.0.2.1' }).registration).toBe('closed')
  expect(loadConfig({ CLAUDEMESH_BROKER_HOST: '0.0.0.0' }, {}).registration).toBe('closed')
  expect(loadConfig({}, { host: '0.0.0.0', registration: 'open' }).registration).toBe('open')
})

test('the caller goes before the environment, and the environment before the default', () => {
  const environment = { CLAUDEMESH_BROKER_PORT: '9000', CLAUDEMESH_BROKER_LEASE_MS: '250', CLAUDEMESH_HOME: '/h' }
  expect(loadConfig(environment, { port: 1 })).toMatchObject({ port: 1, leaseMs: 250, data: '/h/broker' })
  expect(loadConfig(environment, {}).port).toBe(9000)
  expect(loadConfig({ CLAUDEMESH_BROKER_PUBLIC_URLS: 'wss://a, wss://b' }, {}).publicUrls).toEqual([
    'wss://a',
    'wss://b',
  ])
})

const refused = [
  { variable: 'CLAUDEMESH_BROKER_PORT', value: 'abc' },
  { variable: 'CLAUDEMESH_BROKER_PORT', value: '65536' },
  { variable: 'CLAUDEMESH_BROKER_PORT', value: '-1' },
  { variable: 'CLAUDEMESH_BROKER_LEASE_MS', value: '1e3' },
  { variable: 'CLAUDEMESH_BROKER_DEDUPE_MODE', value: 'forever' },
  { variable: 'CLAUDEMESH_BROKER_REGISTRATION', value: 'yes' },
  { variable: 'CLAUDEMESH_BROKER_PROT', value: '1' },
  { variable: 'CLAUDEMESH_BROKER_DATABASE_URL', value: 'mysql://mesh:secret@db/mesh' },
]

test('what is unknown or ill-typed is refused by name', () => {
  for (const { variable, value } of refused) {
    expect(() => loadConfig({ [variable]: value }, {}), variable).toThrow(new RegExp(variable))
  }
})

test('a database is named by its URL, and what is wrong with that is said without its password', () => {
  const url = 'postgres://mesh:secret@db/mesh'
  expect(loadConfig({}, {}).databaseUrl).toBeNull()
  expect(loadConfig({ CLAUDEMESH_BROKER_DATABASE_URL: url }, {}).databaseUrl).toBe(url)
  expect(loadConfig({ CLAUDEMESH_BROKER_DATABASE_URL: url }, { databaseUrl: null }).databaseUrl).toBeNull()
  const wrong = () => loadConfig({}, { databaseUrl: 'mysql://mesh:secret@db/mesh' })
  expect(wrong).toThrow('does not begin with postgres://')
  expect(wrong).not.toThrow('secret')
})

test('a setting of daemons that begins alike is passed over', () => {
  expect(loadConfig({ CLAUDEMESH_BROKER_URL: 'ws://127.0.0.1:1' }, {}).port).toBe(7520)
})

const retentions = [
  { environment: {}, days: [30, 30] },
  { environment: { CLAUDEMESH_BROKER_DEDUPE_RETENTION_DAYS: '7' }, days: [7, 7] },
  { environment: { CLAUDEMESH_BROKER_DEDUPE_RETENTION_DAYS: '90' }, days: [90, 30] },
  { environment: { CLAUDEMESH_BROKER_MESSAGE_RETENTION_DAYS: '31' }, days: null },
  {
    environment: { CLAUDEMESH_BROKER_MESSAGE_RETENTION_DAYS: '31', CLAUDEMESH_BROKER_DEDUPE_MODE: 'permanent' },
    days: [30, 31],
  },
]

test('messages are kept at most as long as ids, by default and by word', () => {
  for (const { environment, days } of retentions) {
    const load = () => loadConfig(environment, {}).settings
    if (days === null) expect(load).toThrow(expect.objectContaining({ code: 'config_invalid' }))
    else expect([load().dedupeRetentionDays, load().messageRetentionDays]).toEqual(days)
  }
})
