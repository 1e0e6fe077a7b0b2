/** Appending events as they are: all of them or none. */
import assert from 'node:assert/strict'
import type { DecisionEvent } from '../event.ts'
import { code, collect, type DecisionLogCase, decide, from, set, space } from './scenario.ts'

function events(count: number): DecisionEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    space,
    seq: index + 1,
    event_id: `01K000000000000000000000${String(index).padStart(2, '0')}`,
    intent_id: `imported-${index}`,
    kind: 'state',
    actor: 'Ada Lovelace',
    ts: `2020-01-01T00:00:00.${String(index).padStart(3, '0')}Z`,
    payload: { key: 'k', value: index },
  }))
}

export const importCases: readonly DecisionLogCase[] = [
  {
    name: 'imported events keep every member, and an append follows them',
    async run({ log, reopen }) {
      const imported = events(4)
      assert.equal(await log.importEvents(space, from(imported.slice(0, 3))), 3)
      assert.equal(await log.importEvents(space, from(imported.slice(3))), 1)
      assert.deepEqual(await collect((await reopen()).events(space)), imported)
      assert.deepEqual(
        await log.append(space, [{ ...set('k', 2), actor: 'Ada Lovelace' }], { intentId: 'imported-2' }),
        [imported[2]],
      )
      const next = await decide(log, set('k'), 'next')
      assert.equal(next.seq, 5)
      assert.ok(next.event_id > (imported[3]?.event_id ?? ''))
    },
  },
  {
    name: 'of an import that is refused or ends early nothing is written',
    async run({ log }) {
      const [first, second, third] = events(3) as [DecisionEvent, DecisionEvent, DecisionEvent]
      const refused = (source: readonly DecisionEvent[], expected: string) =>
        assert.rejects(log.importEvents(space, from(source)), code(expected))
      await refused([second, third], 'import_out_of_order')
      await refused([first, third], 'import_out_of_order')
      await refused([first, first], 'import_out_of_order')
      await refused([first, { ...second, ts: '2019-01-01T00:00:00.000Z' }], 'import_out_of_order')
      await refused([first, { ...second, event_id: first.event_id }], 'import_conflict')
      await refused([first, { ...second, space: 'elsewhere' }], 'import_conflict')
      await refused([first, { ...second, kind: 'edict' } as never], 'decision_kind_unknown')
      await refused([first, { ...second, more: 1 } as never], 'invalid_decision')
      const ending = (async function* () {
        yield first
        throw new Error('the source ended early')
      })()
      await assert.rejects(log.importEvents(space, ending), /ended early/)
      assert.deepEqual([(await log.head(space)).seq, await log.spaces()], [0, []])
      assert.equal(await log.importEvents(space, from([])), 0)
      assert.deepEqual(await log.spaces(), [])
    },
  },
]
