import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Environment, readEnvironment } from './environment.ts'
import { parseLastExit } from './last-exit.ts'
import { defaultMemberName } from './member-name.ts'

const rows: readonly { env: Record<string, string>; means: Partial<Environment> }[] = [
  { env: {}, means: { home: join(homedir(), '.claudemesh'), mesh: null, colour: 'auto', debug: false } },
  { env: { CLAUDEMESH_HOME: '/srv/cm' }, means: { home: '/srv/cm', brokerData: '/srv/cm/broker' } },
  { env: { CLAUDEMESH_HOME: '' }, means: { home: join(homedir(), '.claudemesh') } },
  { env: { CLAUDEMESH_HOME: 'here' }, means: { home: join(process.cwd(), 'here') } },
  { env: { CLAUDEMESH_MESH: 'team' }, means: { mesh: 'team' } },
  { env: { CLAUDEMESH_BROKER_DATA: '/srv/b' }, means: { brokerData: '/srv/b' } },
  { env: { NO_COLOR: '1', FORCE_COLOR: '1' }, means: { colour: 'never' } },
  { env: { NO_COLOR: '' }, means: { colour: 'auto' } },
  { env: { FORCE_COLOR: '1' }, means: { colour: 'always' } },
  { env: { FORCE_COLOR: '0' }, means: { colour: 'auto' } },
  { env: { TERM: 'dumb' }, means: { colour: 'never' } },
]

describe('the environment', () => {
  for (const { env, means } of rows) {
    test(`${JSON.stringify(env)} means ${JSON.stringify(means)}`, () => {
      expect(readEnvironment(env)).toMatchObject(means)
    })
  }
})

const names: readonly { hostname: string; name: string }[] = [
  { hostname: 'laptop', name: 'laptop' },
  { hostname: 'Alices-MacBook.local', name: 'alices-macbook' },
  { hostname: '-odd host!-', name: 'odd-host' },
  { hostname: '', name: 'member' },
  { hostname: '東京', name: 'member' },
]

describe('the default name of a member', () => {
  for (const { hostname, name } of names) {
    test(`${JSON.stringify(hostname)} gives ${name}`, () => {
      expect(defaultMemberName(hostname)).toBe(name)
    })
  }
})

const lastExits: readonly { name: string; text: string; reads: unknown }[] = [
  {
    name: 'a whole document',
    text: '{"at":1,"code":69,"name":"feature_unavailable","reason":"no dedupe","remedy":"Upgrade"}',
    reads: { at: 1, code: 69, name: 'feature_unavailable', reason: 'no dedupe', remedy: 'Upgrade' },
  },
  {
    name: 'one without a remedy',
    text: '{"at":1,"code":69,"name":"x","reason":"y","remedy":""}',
    reads: { at: 1, code: 69, name: 'x', reason: 'y', remedy: null },
  },
  { name: 'half a document', text: '{"at":1,', reads: null },
  { name: 'another document', text: '[]', reads: null },
]

describe('the last exit', () => {
  for (const { name, text, reads } of lastExits) {
    test(`reads ${name}`, () => {
      expect(parseLastExit(text)).toEqual(reads)
    })
  }
})
