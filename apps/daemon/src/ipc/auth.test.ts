import { MeshError } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { type Credentials, isLoopbackHost, LoopbackAuth, refuseTokenInQuery } from './auth.ts'

const token = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ'
const good: Credentials = { host: '127.0.0.1:7777', origin: undefined, authorization: `Bearer ${token}` }
const closed = { allowedOrigins: [], tokenRequired: true }

function codeOf(run: () => void): string | null {
  try {
    run()
    return null
  } catch (error) {
    if (error instanceof MeshError) return error.code
    throw error
  }
}

test('only names of this very machine are loopback hosts', () => {
  const loopback = ['localhost', 'LOCALHOST:80', '127.0.0.1', '127.0.0.1:7777', '[::1]', '[::1]:1']
  const others = [
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    'evil.example:80',
    '127.0.0.1.nip.io',
    '127.0.0.2',
    '0.0.0.0',
    '::1',
    '[::1]x',
    'localhost:',
    'localhost:port',
    'localhost.',
    'user@localhost',
    ' localhost',
    '10.0.0.1',
  ]
  for (const host of loopback) expect([host, isLoopbackHost(host)]).toEqual([host, true])
  for (const host of others) expect([host, isLoopbackHost(host)]).toEqual([host, false])
})

test('a request over TCP needs a loopback host, no foreign origin, and the token, in this order', () => {
  const allowed = { allowedOrigins: ['http://localhost:3000'], tokenRequired: true }
  const rows: [over: Partial<Credentials>, o: typeof closed | typeof allowed, code: string | null][] = [
    [{}, closed, null],
    [{ authorization: `bearer   ${token}` }, closed, null],
    [{ host: 'evil.example', origin: 'http://evil.example', authorization: undefined }, closed, 'forbidden_host'],
    [{ host: undefined }, closed, 'forbidden_host'],
    [{ origin: 'http://evil.example' }, closed, 'forbidden_origin'],
    [{ origin: 'null' }, closed, 'forbidden_origin'],
    [{ origin: '' }, closed, 'forbidden_origin'],
    [{ origin: 'http://127.0.0.1:7777' }, closed, 'forbidden_origin'],
    [{ origin: 'http://localhost:3000' }, allowed, null],
    [{ origin: 'http://localhost:30001' }, allowed, 'forbidden_origin'],
    [{ origin: 'http://localhost:3000', authorization: undefined }, allowed, 'unauthorized'],
    [{ authorization: undefined }, closed, 'unauthorized'],
    [{ authorization: '' }, closed, 'unauthorized'],
    [{ authorization: 'Bearer ' }, closed, 'unauthorized'],
    [{ authorization: token }, closed, 'unauthorized'],
    [{ authorization: `Basic ${token}` }, closed, 'unauthorized'],
    [{ authorization: `Bearer ${token}x` }, closed, 'unauthorized'],
    [{ authorization: `Bearer ${token.slice(1)}` }, closed, 'unauthorized'],
    [{ authorization: `Bearer ${token.toLowerCase()}` }, closed, 'unauthorized'],
    [{ authorization: undefined }, { ...closed, tokenRequired: false }, null],
    [{ authorization: undefined, host: 'evil.example' }, { ...closed, tokenRequired: false }, 'forbidden_host'],
  ]
  const auth = new LoopbackAuth(() => ['x'.repeat(43), token])
  for (const [over, o, code] of rows) {
    expect([over, codeOf(() => auth.judge({ ...good, ...over }, o))]).toEqual([over, code])
  }
})

test('an empty token lets nobody in', () => {
  const auth = new LoopbackAuth(() => [''])
  expect(codeOf(() => auth.judge({ ...good, authorization: 'Bearer ' }, closed))).toBe('unauthorized')
  expect(codeOf(() => auth.judge({ ...good, authorization: undefined }, closed))).toBe('unauthorized')
})

test('a token in the query string is refused however it is written', () => {
  expect(codeOf(() => refuseTokenInQuery('/v1/inbox?token=x', { token: 'x' }))).toBe('token_in_query')
  expect(codeOf(() => refuseTokenInQuery('/v1/inbox?%74oken=x', { token: 'x' }))).toBe('token_in_query')
  expect(codeOf(() => refuseTokenInQuery('/v1/inbox?Token=', { Token: '' }))).toBe('token_in_query')
  expect(codeOf(() => refuseTokenInQuery('/v1/inbox?limit=5', { limit: '5' }))).toBe(null)
})
