/**
 * Kills a broker's process at every named step of its store's operations, on either engine, and looks at every row: before
 * the commit nothing has changed, after it all of it has, and whoever asks again is answered as if nothing had happened.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { examineBroker } from '../../apps/broker/src/doctor.ts'
import { type Engine, engines } from '../conformance/engines.ts'
import { openWithMembers } from '../conformance/scenario.ts'
import { startChild } from '../support/child.ts'
import { type Call, dump, operations, placeOf, run, type Step, transactionSteps } from './store-operations.ts'

let kills = 0
afterAll(() => console.log(`steps of the broker's operations: killed ${kills} times, on ${engines.length} engines`))

for (const { name: engineName, open } of engines) {
  describe(`a broker killed in an operation of its store (${engineName})`, () => {
    for (const { name, steps, prepare, again, changesRows = () => true } of operations) {
      test(`${name}: it has happened or not, and is answered when it is asked again`, {
        timeout: 180_000,
      }, async () => {
        const scene = await openWithMembers(open)
        const { engine } = scene
        const call = await prepare(scene)
        const changes = changesRows(engineName)
        const before = await dump(engine)
        for (const { at } of changes ? stepsOf(steps, engineName, false) : []) {
          await killAt(engine, call, at)
          expect(await dump(engine), `nothing has happened at ${at}`).toEqual(before)
        }
        const [last] = stepsOf(steps, engineName, true)
        await killAt(engine, call, last?.at ?? '')
        const after = await dump(engine)
        if (changes) expect(after, `it has happened at ${last?.at}`).not.toEqual(before)
        await engine.restart()
        const answer = await run(engine.store, call)
        if (again === null || typeof again !== 'object') expect(answer).toEqual(again)
        else expect(answer).toMatchObject(again)
        expect((await examineBroker(engine.database)).findings).toEqual([])
      })
    }

    test('every step that the sources name is one of these', () => {
      const folder = fileURLToPath(
        new URL(`../../apps/broker/src/store/${engineName === 'SQLite' ? 'sqlite' : 'postgres'}/`, import.meta.url),
      )
      const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
      const named = sources.flatMap((path) => [
        ...readFileSync(join(folder, path), 'utf8').matchAll(/crashPoint\('([^']+)'/g),
      ])
      // Migrations are no operations: test/conformance/postgres-server.test.ts kills in them.
      const points = new Set(named.map(([, point = '']) => point).filter((point) => !point.includes('.migration.')))
      const own = [...operations.flatMap(({ steps }) => steps), ...(transactionSteps[engineName] ?? [])]
      const killed = new Set(own.map(({ at }) => at))
      expect([...points].filter((point) => !killed.has(point))).toEqual([])
      expect(points.size).toBeGreaterThan(10)
    })
  })
}

/** Those before or after it has happened. */
function stepsOf(steps: readonly Step[], engineName: string, done: boolean): readonly Step[] {
  const found = steps.filter((step) => step.done === done)
  return found.length > 0 ? found : (transactionSteps[engineName] ?? []).filter((step) => step.done === done)
}

/** Runs the call in a process that dies at a step. */
async function killAt(engine: Engine, call: Call, at: string): Promise<void> {
  const write = (_: string, value: unknown) =>
    isBytes(value) ? { $bytes: Buffer.from(value.data).toString('base64') } : value
  const args = [placeOf(engine), call.operation, JSON.stringify(call.args, write)]
  const child = startChild('crash/children/store-operation.mjs', args, {
    environment: { CLAUDEMESH_CRASH_AT: at },
  })
  expect(await child.exited, `${call.operation} is killed at ${at}`).toMatchObject({ signal: 'SIGKILL', stderr: '' })
  kills += 1
}

/** How JSON hands a Buffer over. */
function isBytes(value: unknown): value is { readonly data: readonly number[] } {
  return value !== null && typeof value === 'object' && 'type' in value && value.type === 'Buffer'
}
