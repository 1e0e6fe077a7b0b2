/**
 * Each rule of `.dependency-cruiser.cjs` forbids what it says, shown on a small tree of the same shape. That the
 * repository itself keeps the rules is a step of `npm run check`.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from './sources.ts'

interface Row {
  readonly from: string
  readonly to: string
  /** Names of the rules that the import breaks; none: it is allowed. */
  readonly breaks: readonly string[]
  /** The import is made when it is needed: `import()`. */
  readonly late?: true
}

const rows: readonly Row[] = [
  // Between the parts.
  { from: 'apps/daemon/src/a1.ts', to: '@claudemesh/broker', breaks: ['daemon-and-broker-meet-on-the-wire'] },
  { from: 'apps/broker/src/a2.ts', to: '@claudemesh/daemon', breaks: ['daemon-and-broker-meet-on-the-wire'] },
  { from: 'apps/daemon/src/a3.ts', to: '../../broker/src/limits.ts', breaks: ['daemon-and-broker-meet-on-the-wire'] },
  { from: 'apps/broker/src/a4.ts', to: '@claudemesh/sealing', breaks: ['broker-cannot-open'] },
  { from: 'apps/daemon/src/a5.ts', to: '@claudemesh/sealing', breaks: [] },
  { from: 'apps/daemon/src/a6.ts', to: '../../cli/src/flags.ts', breaks: ['apps-know-no-cli'] },
  { from: 'apps/cli/src/a7.ts', to: '@claudemesh/daemon', breaks: ['cli-loads-processes-late'] },
  { from: 'apps/cli/src/a8.ts', to: '@claudemesh/daemon', breaks: [], late: true },
  { from: 'apps/cli/src/a9.ts', to: '../../daemon/src/limits.ts', breaks: ['cli-uses-the-client'], late: true },
  { from: 'apps/cli/src/a10.ts', to: '@claudemesh/client', breaks: [] },
  { from: 'packages/storage/src/b1.ts', to: '@claudemesh/daemon', breaks: ['packages-know-no-app'] },
  { from: 'packages/client/src/b2.ts', to: '@claudemesh/identity', breaks: ['client-stands-alone'] },
  { from: 'packages/client/src/b3.ts', to: 'ws', breaks: ['client-stands-alone', 'dependencies-are-declared'] },
  { from: 'packages/client/src/b4.ts', to: '@claudemesh/protocol', breaks: [] },
  { from: 'packages/client/src/b5.ts', to: 'undici', breaks: ['client-stands-alone'] },
  { from: 'packages/protocol/src/b6.ts', to: '@claudemesh/storage', breaks: ['protocol-stands-below'] },
  { from: 'packages/protocol/src/b7.ts', to: 'node:fs', breaks: ['protocol-does-no-io'] },
  { from: 'packages/protocol/src/b8.ts', to: 'node:crypto', breaks: [] },
  { from: 'packages/storage/src/b9.ts', to: '@claudemesh/identity', breaks: ['storage-stands-below'] },
  { from: 'packages/storage/src/b10.ts', to: '@claudemesh/protocol', breaks: [] },
  { from: 'packages/identity/src/b11.ts', to: '@claudemesh/sealing', breaks: ['identity-stands-below-sealing'] },
  { from: 'packages/sealing/src/b12.ts', to: '@claudemesh/identity', breaks: [] },
  { from: 'packages/sealing/src/b13.ts', to: '../../identity/src/keys.ts', breaks: ['packages-meet-at-their-index'] },
  {
    from: 'apps/daemon/src/b14.ts',
    to: '../../../packages/identity/src/keys.ts',
    breaks: ['packages-meet-at-their-index'],
  },
  { from: 'packages/identity/src/b15.ts', to: './index.ts', breaks: ['no-package-imports-its-own-index'] },
  { from: 'packages/identity/src/b16.ts', to: './keys.ts', breaks: [] },
  {
    from: 'packages/artifacts/src/registry/b17.ts',
    to: '../storage/backends/local/local-backend.ts',
    breaks: ['artifacts-touch-bytes-through-the-data-plane'],
  },
  { from: 'packages/artifacts/src/dataplane/b18.ts', to: '../storage/backends/local/local-backend.ts', breaks: [] },
  {
    from: 'packages/artifacts/src/registry/b19.ts',
    to: '../dataplane/inproc/in-process-data-plane.ts',
    breaks: ['artifacts-compose-in-one-place'],
  },
  { from: 'packages/decisions/src/b20.ts', to: '@claudemesh/artifacts', breaks: ['decisions-stand-beside-artifacts'] },
  { from: 'packages/decisions/src/b21.ts', to: '@claudemesh/protocol', breaks: [] },
  { from: 'packages/history/src/b22.ts', to: '@claudemesh/identity', breaks: ['history-knows-nobody-who-reads-it'] },
  { from: 'packages/history/src/b23.ts', to: '@claudemesh/protocol', breaks: [] },
  { from: 'packages/sinks/src/b24.ts', to: '@claudemesh/history', breaks: ['sinks-know-no-store'] },
  { from: 'packages/sinks/src/b25.ts', to: '@claudemesh/storage', breaks: [] },

  // Inside an app.
  { from: 'apps/daemon/src/outbox/c1.ts', to: '../send/sender.ts', breaks: ['daemon-noun-knows-no-verb'] },
  { from: 'apps/daemon/src/outbox/c2.ts', to: '../ipc/server.ts', breaks: ['daemon-noun-knows-no-verb'] },
  { from: 'apps/daemon/src/outbox/c3.ts', to: '../inbox/inbox.ts', breaks: ['daemon-noun-knows-no-noun'] },
  { from: 'apps/daemon/src/outbox/c4.ts', to: './statements.ts', breaks: [] },
  { from: 'apps/daemon/src/send/c5.ts', to: '../link/link.ts', breaks: ['daemon-verb-knows-no-verb'] },
  { from: 'apps/daemon/src/send/c6.ts', to: '../ipc/server.ts', breaks: ['daemon-verb-knows-no-edge'] },
  { from: 'apps/daemon/src/send/c7.ts', to: '../inbox/inbox.ts', breaks: [] },
  { from: 'apps/daemon/src/ipc/c8.ts', to: '../send/sender.ts', breaks: [] },
  { from: 'apps/daemon/src/ipc/c9.ts', to: '../daemon.ts', breaks: ['daemon-root-is-on-top'] },
  { from: 'apps/broker/src/store/c10.ts', to: '../accept/accept.ts', breaks: ['broker-noun-knows-no-verb'] },
  { from: 'apps/broker/src/store/c11.ts', to: '../cluster/cluster.ts', breaks: ['broker-noun-knows-no-noun'] },
  { from: 'apps/broker/src/accept/c12.ts', to: '../deliver/deliver.ts', breaks: ['broker-verb-knows-no-verb'] },
  { from: 'apps/broker/src/deliver/c13.ts', to: '../socket/dispatch.ts', breaks: ['broker-verb-knows-no-edge'] },
  { from: 'apps/broker/src/socket/c14.ts', to: '../broker.ts', breaks: ['broker-root-is-on-top'] },
  { from: 'apps/broker/src/socket/c15.ts', to: '../accept/accept.ts', breaks: [] },

  // Everywhere.
  { from: 'apps/daemon/src/d1.ts', to: './d2.ts', breaks: ['no-cycles'] },
  // A cycle is told once, at its first file.
  { from: 'apps/daemon/src/d2.ts', to: './d1.ts', breaks: [] },
  { from: 'apps/daemon/src/d3.ts', to: './d4.test.ts', breaks: ['production-knows-no-test'] },
  { from: 'apps/daemon/src/d5.ts', to: '../../../test/support/mesh.ts', breaks: ['production-knows-no-test'] },
  { from: 'apps/daemon/src/d6.ts', to: 'vitest', breaks: ['dependencies-are-declared', 'production-knows-no-test'] },
  { from: 'apps/daemon/src/d7.test.ts', to: 'vitest', breaks: [] },
  { from: 'apps/daemon/src/d8.ts', to: 'undeclared', breaks: ['dependencies-are-declared'] },
  { from: 'apps/daemon/src/d9.ts', to: 'ws', breaks: [] },
  { from: 'apps/daemon/src/d10.ts', to: './nowhere.ts', breaks: ['imports-are-found'] },
]

const parts = [
  'apps/broker',
  'apps/cli',
  'apps/daemon',
  'packages/artifacts',
  'packages/client',
  'packages/decisions',
  'packages/history',
  'packages/identity',
  'packages/protocol',
  'packages/sealing',
  'packages/sinks',
  'packages/storage',
]
const libraries = ['undeclared', 'undici', 'vitest', 'ws']
const declared: Readonly<Record<string, readonly string[]>> = { 'apps/daemon': ['ws'], 'packages/client': ['undici'] }

let tree: string
let broken: Map<string, string[]>

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
  for (const part of parts) writePart(part)
  for (const library of libraries) {
    writeTo(`node_modules/${library}/package.json`, JSON.stringify({ name: library, main: 'index.js' }))
    writeTo(`node_modules/${library}/index.js`, '')
  }
  for (const { from, to } of rows) {
    if (to.startsWith('.') && !to.includes('nowhere')) writeTo(join(dirname(from), to), '')
  }
  for (const { from, to, late } of rows) writeTo(from, late ? `await import('${to}')\n` : `import '${to}'\n`)
  broken = cruise()
})
afterAll(() => {
  rmSync(tree, { recursive: true })
})

describe('an import', () => {
  for (const row of rows) {
    const verb = row.late ? 'may, when it is needed,' : 'may'
    const name =
      row.breaks.length === 0
        ? `${row.from} ${verb} import ${row.to}`
        : `${row.from} importing ${row.to} is ${row.breaks.join(' and ')}`
    test(name, () => {
      expect(broken.get(row.from) ?? []).toEqual(row.breaks)
    })
  }
})

test('every rule has an import here that it forbids', () => {
  const { forbidden } = createRequire(import.meta.url)(join(root, '.dependency-cruiser.cjs')) as {
    forbidden: { name: string; comment: string }[]
  }
  const shown = new Set(rows.flatMap((row) => row.breaks))
  expect(forbidden.map((rule) => rule.name).filter((name) => !shown.has(name))).toEqual([])
  expect(forbidden.filter((rule) => !rule.comment.endsWith('.'))).toEqual([])
})

/** A part whose name leads to its entry, as in this repository. */
function writePart(part: string): void {
  const isApp = part.startsWith('apps/')
  const entry = isApp ? './src/main.ts' : './src/index.ts'
  const name = `@claudemesh/${part.split('/')[1]}`
  const dependencies = Object.fromEntries((declared[part] ?? []).map((library) => [library, '*']))
  const document = { name, type: 'module', exports: { '.': { 'claudemesh-source': entry } }, dependencies }
  writeTo(`${part}/package.json`, JSON.stringify(document))
  writeTo(join(part, entry), '')
  mkdirSync(join(tree, 'node_modules/@claudemesh'), { recursive: true })
  symlinkSync(join(tree, part), join(tree, 'node_modules', name))
}

function writeTo(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true })
  writeFileSync(join(tree, path), text)
}

/** File to the names of the rules that it breaks, in order. */
function cruise(): Map<string, string[]> {
  const depcruise = join(root, 'node_modules/.bin/depcruise')
  const config = join(root, '.dependency-cruiser.cjs')
  const { stdout, stderr } = spawnSync(depcruise, ['--config', config, '--output-type', 'json', 'apps', 'packages'], {
    cwd: tree,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (stdout === '') throw new Error(`depcruise said nothing: ${stderr}`)
  const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string; rule: { name: string } }[] } }
  const found = new Map<string, string[]>()
  for (const { from, rule } of summary.violations) {
    const names = new Set([...(found.get(from) ?? []), rule.name])
    found.set(from, [...names].sort())
  }
  return found
}
