/** Logs that come as lines of JSON, and go as such (07 §6). */
import assert from 'node:assert/strict'
import type { DecisionLog } from '../decision-log.ts'
import { encodeEvent } from '../event.ts'
import { foldLog } from '../fold.ts'
import { exportJsonl, importJsonl } from '../jsonl.ts'
import { MemoryDecisionLog } from '../memory-decision-log.ts'
import { encodeSnapshot } from '../snapshot.ts'
import { actor, code, collect, type DecisionLogCase, decide, note, set, space } from './scenario.ts'

/** Lines of a log in memory that decided some of everything. */
async function lines(): Promise<string[]> {
  const log = new MemoryDecisionLog()
  await log.append(space, [set('a', 1), note('why'), { kind: 'alias', actor, payload: { name: 'n', target: 'a' } }], {
    intentId: 'one',
  })
  const bound = await decide(log, { kind: 'binding', actor, payload: { a: 'x', b: 'y' } }, 'two')
  await decide(log, { kind: 'unbinding', actor, payload: { event_id: bound.event_id } }, 'three')
  await decide(log, { kind: 'overlay', actor, payload: { target: 'a', patch: { b: null } } }, 'four')
  return (await text(log)).split('\n').slice(0, -1)
}

async function text(log: DecisionLog): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const bytes of exportJsonl(log, space)) chunks.push(bytes)
  return Buffer.concat(chunks).toString()
}

async function* chunked(whole: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(whole)
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size)
}

const joined = (all: readonly string[]) => all.map((line) => `${line}\n`).join('')

export const jsonlCases: readonly DecisionLogCase[] = [
  {
    name: 'a log in memory comes over by its export with every byte, and folds to the same',
    async run({ log, reopen }) {
      const source = new MemoryDecisionLog()
      const whole = joined(await lines())
      await importJsonl(source, space, chunked(whole, 1_000_000))
      assert.deepEqual(await importJsonl(log, space, chunked(whole, 7)), { appended: 6, present: 0 })
      assert.equal(await text(await reopen()), whole)
      const bytes = async (any: DecisionLog) => encodeSnapshot(await foldLog(any.events(space)))
      assert.deepEqual(await bytes(log), await bytes(source))
      const [repeated] = await log.append(space, [{ kind: 'binding', actor, payload: { a: 'x', b: 'y' } }], {
        intentId: 'two',
      })
      assert.equal(repeated?.seq, 4)
    },
  },
  {
    name: 'an import continues what is there, and passes over what it has of it',
    async run({ log }) {
      const all = await lines()
      const take = (from: number, to: number) => importJsonl(log, space, chunked(joined(all.slice(from, to)), 64))
      assert.deepEqual(await take(0, 2), { appended: 2, present: 0 })
      assert.deepEqual(await take(2, 3), { appended: 1, present: 0 })
      assert.deepEqual(await take(1, 5), { appended: 2, present: 2 })
      assert.deepEqual(await take(0, 6), { appended: 1, present: 5 })
      assert.deepEqual(await take(0, 6), { appended: 0, present: 6 })
      assert.deepEqual(await take(0, 0), { appended: 0, present: 0 })
      assert.equal(await text(log), joined(all))
    },
  },
  {
    name: 'an import that is out of order, in conflict or damaged is refused with its line, and nothing is written',
    async run({ log }) {
      const all = await lines()
      const [one, two, three, four] = all as [string, string, string, string]
      const other = three.replace('"target":"a"', '"target":"b"')
      const refused = (whole: string, expected: string, line: number) =>
        assert.rejects(importJsonl(log, space, chunked(whole, 100)), (error: unknown) => {
          assert.equal((error as { readonly data: { readonly line?: number } }).data.line, line, String(error))
          return code(expected)(error)
        })
      await refused(joined([two, three]), 'import_out_of_order', 1)
      await refused(joined([one, three]), 'import_out_of_order', 2)
      await refused(joined([one, two, one]), 'import_out_of_order', 3)
      await refused(joined([one, two, three, other]), 'import_conflict', 4)
      await refused(
        joined([one, two.replace('"event_id":"0', '"event_id":"1')]).replace('plans', 'plots'),
        'import_conflict',
        1,
      )
      await refused(joined([one, two.replace(/"ts":"20/, '"ts":"19')]), 'import_out_of_order', 2)
      await refused(joined([one, '']), 'decision_not_canonical', 2)
      await refused(joined([one]) + two, 'decision_not_canonical', 2)
      await refused(joined([one, two.replace('{', '{ ')]), 'decision_not_canonical', 2)
      await refused(joined([one, two.replace('"kind":"note"', '"kind":"edict"')]), 'decision_kind_unknown', 2)
      await refused(joined([one, two.replace('{', '{"a":1,')]), 'invalid_decision', 2)
      await refused(joined([one]) + 'x'.repeat(400_000), 'decision_too_large', 2)
      assert.deepEqual([(await log.head(space)).seq, await log.spaces()], [0, []])

      await importJsonl(log, space, chunked(joined(all.slice(0, 3)), 100))
      await refused(joined([one, two, other, four]), 'import_conflict', 3)
      await refused(joined([other, four]), 'import_conflict', 1)
      await refused(joined(all.slice(4)), 'import_out_of_order', 1)
      await refused(joined([three, four, three]), 'import_out_of_order', 3)
      assert.deepEqual(
        (await collect(log.events(space))).map((event) => encodeEvent(event).toString().trimEnd()),
        all.slice(0, 3),
      )
    },
  },
]
