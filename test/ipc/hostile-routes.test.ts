/**
 * Every route of the daemon, as its own OpenAPI document describes them, under input that no client should send. Each
 * is refused with a clear 4xx; nothing changes, nothing leaks, and the daemon goes on. The routes are not listed here:
 * one that is new is covered because it is described.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorCatalogue, type Health, isErrorCode, meshFilePath, type OutboxList } from '@claudemesh/protocol'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { type OpenApiDocument, pathOf, type Route, routesOf } from '../support/described-routes.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'
import type { HttpAnswer, HttpRequest } from '../support/http-over-socket.ts'
import { findFreePort, meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'
import { memoryLevelsOff, openDescriptors } from '../support/process-figures.ts'
import { exchange, type RawAnswer, readAnswers } from '../support/raw-http.ts'
import { faults, fitting, type JsonSchema, textFaults } from '../support/schema-faults.ts'
import { seeded } from '../support/seed.ts'

/** Random bodies for each route that takes one. */
const randomBodies = Number(process.env.CLAUDEMESH_TEST_HOSTILE_BODIES ?? 20)
const parallel = 8
const { seed } = seeded()

let alice: TestMember
let routes: readonly Route[]
let posts: readonly Route[]
const counts = new Map<string, number>()

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cm-'))
  mkdirSync(join(directory, 'alice'), { mode: 0o700 })
  foundHome({ slug: meshSlug, directory: join(directory, 'alice') })
  const mesh = TestMesh.at(directory, ['alice'], { port: await findFreePort() })
  alice = mesh.member('alice')
  await alice.start()
  for (const key of ['a', 'b', 'c']) await alice.send({ to: '#a', message: key, client_message_id: key })
  const document = (await ask({ method: 'GET', path: '/v1/openapi.json' })).json as OpenApiDocument
  routes = [...routesOf(document), { method: 'GET', template: '/v1/openapi.json', ...withoutInput }]
  posts = routes.filter((route) => route.method === 'POST')
  return async () => {
    await mesh.end()
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const listed = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')
    console.log(`hostile input, ${routes.length} routes, ${all} inputs, seed ${seed}: ${listed}`)
  }
}, 60_000)

const withoutInput = { path: '/v1/openapi.json', parameters: [], bodies: new Map<string, JsonSchema>() } as const

function ask(request: HttpRequest): Promise<HttpAnswer> {
  return alice.request(request)
}

/** What no request that is refused may change. */
async function stateOf(): Promise<unknown> {
  const get = async (path: string) => (await ask({ method: 'GET', path })).json
  const { outbox, inbox } = (await get('/v1/health')) as Health
  const { rows } = (await get('/v1/outbox')) as OutboxList
  const { keypair, localToken } = alice.paths
  const files = [keypair, localToken, meshFilePath(alice.home, meshSlug)].filter((path) => existsSync(path))
  return {
    outbox: { ...outbox, oldest_pending_age_ms: null },
    inbox,
    rows,
    topics: await get('/v1/topic/list'),
    identity: await get('/v1/identity'),
    files: files.map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]),
  }
}

/** Something that is asked, and what it is to be answered with beyond being refused. */
interface Hostile {
  readonly kind: string
  readonly what: string
  readonly request: HttpRequest
  readonly status?: number
  /** What the refusal is to name, at least in its first part. */
  readonly field?: string
}

/** Asks all of it, some at a time. Each is refused and nothing has changed. */
async function expectRefused(inputs: readonly Hostile[]): Promise<void> {
  const before = await stateOf()
  const wrong: string[] = []
  await eachOf(inputs, async ({ kind, what, request, status, field }) => {
    count(kind)
    const answer = await ask(request)
    const named = String((answer.json as { field?: string }).field).split('/')[0]
    const fault =
      faultOf(answer) ??
      (status === undefined || status === answer.status ? null : `not ${status}`) ??
      (field === undefined || field === named ? null : `names ${named} and not ${field}`)
    if (fault !== null) wrong.push(`${kind}: ${what}: ${fault}: ${answer.status} ${answer.text.slice(0, 300)}`)
  })
  expect(wrong).toEqual([])
  expect(inputs.length).toBeGreaterThan(0)
  expect(await stateOf()).toEqual(before)
  expect(alice.running.ending).toBeNull()
}

/** What an answer lacks of being a clear refusal; null: nothing. */
function faultOf({ status, headers, text, json }: Pick<HttpAnswer, 'status' | 'headers' | 'text' | 'json'>) {
  if (status < 400 || status > 499) return 'no refusal'
  if (!String(headers['content-type']).startsWith('application/problem+json')) return 'no problem document'
  const problem = json as Record<string, unknown>
  const { code } = problem
  if (!isErrorCode(code) || errorCatalogue[code].status !== status || problem['status'] !== status)
    return 'no such code'
  for (const name of ['type', 'title', 'detail', 'hint']) {
    if (typeof problem[name] !== 'string' || problem[name] === '') return `no ${name}`
  }
  return /\bat .*\.(ts|js):\d+/.test(text) ? 'a stack trace' : null
}

async function eachOf<T>(all: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let one = all[next++]; one !== undefined; one = all[next++]) await act(one)
  }
  await Promise.all(Array.from({ length: parallel }, lane))
}

function count(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

const json = { 'content-type': 'application/json' }
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('a route', () => {
  test('refuses every single fault in a body that its schema tells of', async () => {
    const inputs = posts.flatMap((route) =>
      [...faults(route.bodies.get('application/json') ?? {})].map(({ kind, at, value }) => ({
        kind: `body: ${kind}`,
        what: `${route.template} ${at.slice(0, 100)}`,
        status: 400,
        // The name of a field is told up to a length.
        ...(at === '' ? {} : { field: at.split('/')[0]?.slice(0, 128) ?? '' }),
        request: { method: 'POST', path: route.path, headers: json, body: JSON.stringify(value) },
      })),
    )
    await expectRefused(inputs)
  }, 120_000)

  test('refuses a body that is no JSON, too large, or of another type', async () => {
    const bodies: readonly (readonly [what: string, body: string, type?: string])[] = [
      ['nothing', ''],
      ['half a document', '{"to":'],
      ['two documents', '{} {}'],
      ['a comment', '{/**/}'],
      ['a comma too many', '{"a":1,}'],
      ['NaN', '{"to":NaN}'],
      ['a leading zero', '{"limit":01}'],
      ['a byte order mark', '\ufeff\ufeff{}'],
      ['__proto__', '{"__proto__":{"to":"#a"}}'],
      ['constructor', '{"constructor":{"prototype":{"to":"#a"}}}'],
      ['a number beyond all', '1e999'],
      ['10,000 levels that do not end', '['.repeat(10_000)],
      ['10,000 levels in a field', `{"meta":${nested(10_000)}}`],
      ['more than 1 MiB', `"${'x'.repeat(1024 * 1024)}"`],
      ['a form', 'to=%23a&message=x', 'application/x-www-form-urlencoded'],
      ['several parts', '--x\r\n\r\n--x--', 'multipart/form-data; boundary=x'],
      ['plain text', '{}', 'text/plain'],
      ['XML', '<a/>', 'application/xml'],
      ['a type that begins like JSON', '{}', 'application/jsonp'],
      ['a type that is none', '{}', 'json'],
      ['no type', '{}', ''],
    ]
    const inputs = posts.flatMap((route) =>
      bodies.map(([what, body, type = 'application/json']) => ({
        kind: type === 'application/json' ? 'body: no JSON' : 'body: another type',
        what: `${route.template} ${what}`,
        request: { method: 'POST', path: route.path, headers: type === '' ? {} : { 'content-type': type }, body },
      })),
    )
    await expectRefused(inputs)
  }, 120_000)

  test('answers a batch item by item, each fault with its own refusal', async () => {
    const send = routes.find((route) => route.template === '/v1/send')?.bodies.get('application/json') ?? {}
    const before = await stateOf()
    const all = [...faults(send)].filter(({ value }) => JSON.stringify(value).length < 20_000)
    for (let first = 0; first < all.length; first += 32) {
      const part = all.slice(first, first + 32)
      const lines = part.map(({ value }) => JSON.stringify(value)).join('\n')
      for (const [type, body] of [
        ['application/json', `[${lines.replaceAll('\n', ',')}]`],
        ['application/x-ndjson', `${lines}\n{"half":`],
      ] as const) {
        const headers = { 'content-type': type }
        const answer = await ask({ method: 'POST', path: '/v1/send/batch', headers, body })
        const { items } = answer.json as { items: { status: number; body: unknown }[] }
        expect(items).toHaveLength(part.length + (type === 'application/json' ? 0 : 1))
        for (const item of items) {
          count('batch item')
          const problem = { 'content-type': 'application/problem+json' }
          const fault = faultOf({ status: item.status, headers: problem, text: '', json: item.body })
          expect([fault, item]).toEqual([null, item])
        }
      }
    }
    expect(await stateOf()).toEqual(before)
  })

  test('refuses a query that it does not know, or with a fault in it', async () => {
    const inputs = routes.flatMap((route) => {
      const known = route.parameters.filter((parameter) => parameter.in === 'query')
      const needed = known.filter((parameter) => parameter.required === true)
      const fits = (except = '') =>
        needed.filter(({ name }) => name !== except).map(({ name, schema }) => `${name}=${fitting(schema)}`)
      const faulty = known.flatMap(({ name, schema }) => [
        ...textFaults(schema).map(({ kind, text }) => [kind, `${name}=${encodeURIComponent(text)}`, name] as const),
        ['repeated', `${name}=1&${name}=2`, name] as const,
        ['too long', `${name}=${'9'.repeat(8_000)}`, name] as const,
      ])
      const queries = [
        ...faulty,
        ...needed.map(({ name }) => ['missing field', '', name] as const),
        ...['surprise=1', '__proto__=1', 'a[b]=1', '%ff=%ff', 'x'.repeat(8_000)].map(
          (query) => ['unknown field', query, ''] as const,
        ),
        ['token', 'token=x', ''] as const,
      ]
      return queries.map(([kind, query, except]) => ({
        kind: `query: ${kind}`,
        what: `${route.template} ${query.slice(0, 100)}`,
        status: 400,
        request: {
          method: route.method,
          path: `${route.path}?${[...fits(except), query].filter((part) => part !== '').join('&')}`,
          ...bodyOf(route),
        },
      }))
    })
    await expectRefused(inputs)
  })

  test('refuses a path that is none, or that names nothing', async () => {
    const names = ['%', '%ff', '%zz', '%00', '%c0%af', '..%2f..%2fetc%2fpasswd', '%F0%9F%92%A5', "';--"]
    const long = ['x'.repeat(1_025), '%41'.repeat(1_000)]
    const inputs = routes.flatMap((route) => {
      const { method, template, parameters } = route
      const own = parameters
        .filter((parameter) => parameter.in === 'path')
        .flatMap(({ name }) => [...names, ...long].map((value) => pathOf(template, parameters, { name, value })))
      const beside = [
        `${route.path}/`,
        `${route.path}/x/y`,
        `${route.path}%00`,
        `/${route.path}`,
        `/v1/..${route.path}`,
      ]
      const paths = [...own, ...beside, route.path.toUpperCase(), `${route.path}${'/x'.repeat(8_000)}`]
      return paths.map((path) => ({
        kind: 'path',
        what: `${method} ${path.slice(0, 100)}`,
        request: { method, path, ...bodyOf(route) },
      }))
    })
    await expectRefused(inputs)
  })

  test('refuses every method that it is not described with', async () => {
    const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
    const inputs = [...new Set(routes.map((route) => route.path))].flatMap((path) => {
      const methods = routes.filter((route) => route.path === path).map((route) => route.method)
      const other = all.filter((method) => !methods.includes(method) && !(method === 'HEAD' && methods.includes('GET')))
      return [
        ...other.filter((method) => method !== 'HEAD').map((method) => [method, 405] as const),
        ...['TRACE', 'PROPFIND', 'PURGE', 'LINK'].map((method) => [method, 404] as const),
      ].map(([method, status]) => ({
        kind: 'method',
        what: `${method} ${path}`,
        status,
        request: { method, path, headers: { 'content-length': '10' }, body: '{"not json' },
      }))
    })
    await expectRefused(inputs)
  })

  test('holds against whatever text and whatever JSON there is where its schema takes them', async () => {
    const bodies = posts.flatMap((route) => {
      const schema = route.bodies.get('application/json') ?? {}
      const object = schema.anyOf?.find((alternative) => alternative.properties !== undefined) ?? schema
      const fields = Object.entries(object.properties ?? {})
      const strange = ['', ' ', '\u0000', '\ud800', '../..', '@', '#', 'queue:', '$x', '😀'.repeat(32)]
      const deep = (depth: number) => `{"a":${nested(depth)}}`
      const fill = ([name]: readonly [string, unknown], value: string) => {
        const { [name]: _, ...others } = fitting(object) as Record<string, unknown>
        const rest = JSON.stringify(others).slice(1, -1)
        return `{${rest}${rest === '' ? '' : ','}${JSON.stringify(name)}:${value}}`
      }
      const texts = fields.flatMap((field) => strange.map((text) => fill(field, JSON.stringify(text))))
      const depths = fields.flatMap((field) => [17, 1_000, 100_000].map((depth) => fill(field, deep(depth))))
      const numbers = fields.flatMap((field) => ['1e999', '-0', '1e308', '9007199254740993'].map((n) => fill(field, n)))
      const random = fc.sample(fc.json({ maxDepth: 4 }), { numRuns: randomBodies, seed })
      return [...texts, ...depths, ...numbers, ...random].map((body) => [route, body] as const)
    })
    const wrong: string[] = []
    await eachOf(bodies, async ([route, body]) => {
      // These would do what they are there for: the rest of this file says that they do nothing else.
      if (route.template.startsWith('/v1/identity') && /^(null|\{\})$/.test(body.trim())) return
      count('body: at random')
      const answer = await ask({ method: 'POST', path: route.path, headers: json, body })
      const isRefused = faultOf(answer) === null
      const isAway = answer.status === 503 && (answer.json as { code: string }).code === 'broker_unavailable'
      if (answer.status < 300 || isRefused || isAway) return
      wrong.push(`${route.template} ${body.slice(0, 200)}: ${answer.status} ${answer.text.slice(0, 300)}`)
    })
    expect(wrong).toEqual([])
    expect(await alice.health()).toMatchObject({ pid: alice.running.pid })
  }, 120_000)
})

/** A body that a route takes, where it takes one: so that nothing but the fault under test is wrong. */
function bodyOf(route: Route): { readonly headers?: Record<string, string>; readonly body?: string } {
  const schema = route.bodies.get('application/json')
  return schema === undefined ? {} : { headers: json, body: JSON.stringify(fitting(schema)) }
}

describe('bytes', () => {
  const head = (route: Route, ...lines: string[]) =>
    [`${route.method} ${route.path} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n')
  const typed = 'Content-Type: application/json'

  /** Sends each, and looks at the last answer on its connection; those before it are of requests that are none of it. */
  async function expectLastRefused(inputs: readonly (readonly [kind: string, what: string, bytes: string])[]) {
    const before = await stateOf()
    const wrong: string[] = []
    await eachOf(inputs, async ([kind, what, bytes]) => {
      count(kind)
      const read = await exchange(alice.socket, Buffer.from(bytes, 'latin1'))
      const answer = readAnswers(read).at(-1)
      const fault = answer === undefined ? 'no answer' : faultOf(asHttp(answer))
      if (fault !== null) wrong.push(`${kind}: ${what}: ${fault}: ${read.slice(0, 300)}`)
    })
    expect(wrong).toEqual([])
    expect(await stateOf()).toEqual(before)
  }

  const asHttp = ({ status, headers, body }: RawAnswer) => ({ status, headers, text: body, json: JSON.parse(body) })

  test('that end before the body does, or go on behind it, are refused', async () => {
    const inputs = posts.flatMap((route) => {
      const whole = JSON.stringify(fitting(route.bodies.get('application/json') ?? {}))
      const bad = `${head(route, typed, 'Content-Length: 8')}{"half":`
      return [
        ['truncated', 'a length', head(route, typed, `Content-Length: ${whole.length + 1}`) + whole],
        ['truncated', 'chunks', `${head(route, typed, 'Transfer-Encoding: chunked')}4\r\n{"a`],
        ['truncated', 'nothing of it', head(route, typed, 'Content-Length: 9')],
        ['pipelined', 'garbage', `${bad}\u0000\u0001garbage\r\n\r\n`],
        ['pipelined', 'TLS', `${bad}\u0016\u0003\u0001\u0002\u0000\u0001`],
        ['pipelined', 'half a request', `${bad}GET /v1/ver`],
        ['chunks', 'a size that is none', `${head(route, typed, 'Transfer-Encoding: chunked')}zz\r\n{}\r\n0\r\n\r\n`],
        ['chunks', 'a huge size', `${head(route, typed, 'Transfer-Encoding: chunked')}ffffffffffffffffff\r\n{}`],
        ['chunks', 'a size of less', `${head(route, typed, 'Transfer-Encoding: chunked')}1\r\n{}\r\n0\r\n\r\n`],
      ].map(([kind, what, bytes]) => [kind ?? '', `${route.template} ${what}`, bytes ?? ''] as const)
    })
    await expectLastRefused(inputs)
  })

  test('of headers that are none, twice there, or too much are refused', async () => {
    const rows = [
      'Content-Length: 2\r\nContent-Length: 3',
      'Content-Length: -1',
      'Content-Length: 1e3',
      'Content-Length: 99999999999999999999',
      'Content-Length: 2\r\nTransfer-Encoding: chunked',
      'Transfer-Encoding: chunked, identity',
      'no colon here',
      ': no name',
      'na me: x',
      'X: a\u0000b',
      'X: a\rb',
      'X: 1\r\n Y: folded\r\nContent-Length: -1',
      `X: ${'x'.repeat(65_536)}`,
      Array.from({ length: 3_000 }, (_, n) => `X-${n}: 1`).join('\r\n'),
    ]
    const inputs = routes.flatMap((route) =>
      rows.map((row) => ['headers', `${route.template} ${row.slice(0, 60)}`, `${head(route, typed, row)}{}`] as const),
    )
    await expectLastRefused(inputs)
  })
})

test('is none of it kept: memory and descriptors level off', async () => {
  const { pid } = alice.running
  const wave = () =>
    eachOf(
      Array.from({ length: 100 }, (_, n) => posts[n % posts.length] as Route),
      async (route) => {
        const body = `{"meta":${nested(10_000)}}`
        await ask({ method: 'POST', path: route.path, headers: json, body })
        await exchange(alice.socket, `${route.method} ${route.path} HTTP/1.1\r\nX: ${'x'.repeat(30_000)}`)
      },
    )
  await wave()
  const descriptors = openDescriptors(pid)
  const seen = await memoryLevelsOff(pid, wave)
  console.log(`hostile input: memory levels off after ${seen.length} waves`)
  if (descriptors === null) return
  await eventually('its connections are closed', () => (openDescriptors(pid) ?? 0) <= descriptors)
})
