/** The rules and dashboards of docs/observability against what a real daemon and a real broker tell. */
import { parser } from '@prometheus-io/lezer-promql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { resolveCommand } from '../../apps/cli/src/command-tree.ts'
import { TestMesh } from '../support/mesh.ts'
import { readText } from '../tidy/sources.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string; readonly action: string }
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}

const rules = (parse(readText('docs/observability/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
)
const dashboards = ['daemon', 'broker'].map(
  (name) => JSON.parse(readText(`docs/observability/${name}-dashboard.json`)) as Dashboard,
)
const expressions = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...dashboards.flatMap(({ panels }) =>
    panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ),
]

/** What a family is called in an expression: histograms are three. */
function seriesOf(text: string): readonly string[] {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  )
}

function namesIn(expr: string): readonly string[] {
  return [...expr.matchAll(/\bcm_[a-z_]+[a-z0-9_]*/g)].map(([name]) => name)
}

describe('observability', () => {
  let mesh: TestMesh
  let told: ReadonlySet<string>

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice'])
    const daemon = await mesh.member('alice').request({ method: 'GET', path: '/v1/metrics' })
    const broker = await fetch(`${mesh.broker.url.replace('ws:', 'http:')}/metrics`)
    told = new Set([...seriesOf(daemon.text), ...seriesOf(await broker.text())])
  }, 60_000)
  afterAll(() => mesh.end())

  test('every expression is PromQL, and asks for what is there', () => {
    expect(expressions.length).toBeGreaterThan(50)
    for (const { where, expr } of expressions) {
      const faults: string[] = []
      parser.parse(expr.replaceAll('$instance', '.*')).iterate({
        enter: ({ type, from, to }) => {
          if (type.isError) faults.push(`${from}-${to}`)
        },
      })
      expect(faults, `${where}: ${expr}`).toEqual([])
      for (const name of namesIn(expr)) expect(told, where).toContain(name)
    }
  })

  test('every metric of the daemon is on its dashboard', () => {
    const shown = new Set(expressions.flatMap(({ expr }) => namesIn(expr)))
    const own = [...told].filter((name) => name.startsWith('cm_daemon_'))
    expect(own.filter((name) => !shown.has(name))).toEqual([])
  })

  test('every metric that a document names is there', () => {
    for (const path of ['docs/observability.md', 'docs/self-hosting.md']) {
      for (const [name] of readText(path).matchAll(/\bcm_(?:daemon|broker)_[a-z_]+[a-z]\b/g)) {
        expect(told, path).toContain(name)
      }
    }
  })

  test('every alert says what to do', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    for (const { alert, annotations } of rules) {
      expect(annotations.summary.length, alert).toBeGreaterThan(20)
      expect(annotations.action.length, alert).toBeGreaterThan(10)
      for (const [, line = ''] of annotations.action.matchAll(/\bclaudemesh ((?:[a-z-]+ ?)+)/g)) {
        expect(resolveCommand(line.trim().split(' ')).kind, annotations.action).toBe('command')
      }
    }
  })
})
