/** Appending: one order, once for each intent, and nothing of what is refused. */
import assert from 'node:assert/strict'
import type { DecisionDraft } from '../event.ts'
import { actor, code, collect, type DecisionLogCase, decide, note, set, space } from './scenario.ts'

export const appendCases: readonly DecisionLogCase[] = [
  {
    name: 'what is appended has numbers from 1 without a gap, and is read back as it was answered',
    async run({ log, reopen }) {
      assert.deepEqual(await log.head(space), { seq: 0, oid: null })
      const first = await log.append(space, [set('a'), note('why')], { intentId: 'one' })
      const second = await log.append(space, [set('a', null)], { intentId: 'two' })
      const answered = [...first, ...second]
      assert.deepEqual(
        answered.map(({ seq, intent_id, kind }) => [seq, intent_id, kind]),
        [
          [1, 'one', 'state'],
          [2, 'one', 'note'],
          [3, 'two', 'state'],
        ],
      )
      assert.deepEqual(await collect(log.events(space)), answered)
      assert.equal((await log.head(space)).seq, 3)
      assert.deepEqual(await collect((await reopen()).events(space)), answered)
      assert.deepEqual(await log.spaces(), [space])
    },
  },
  {
    name: 'appends that come at once are one line, each intent in one piece',
    async run({ log }) {
      const intents = Array.from({ length: 40 }, (_, index) => `i${index}`)
      await Promise.all(intents.map((intentId) => log.append(space, [set(intentId), note(intentId)], { intentId })))
      const events = await collect(log.events(space))
      assert.deepEqual(
        events.map(({ seq }) => seq),
        events.map((_, index) => index + 1),
      )
      assert.equal(events.length, 80)
      for (let index = 0; index < 80; index += 2) assert.equal(events[index]?.intent_id, events[index + 1]?.intent_id)
      assert.equal(new Set(events.map(({ event_id }) => event_id)).size, 80)
    },
  },
  {
    name: 'times never decrease and ids ascend, also when the clock steps back',
    async run({ log, clock, reopen }) {
      const first = await decide(log, set('a'), 'one')
      clock.now -= 3_600_000
      const second = await decide(log, set('a'), 'two')
      const third = await decide(await reopen(), set('a'), 'three')
      assert.deepEqual([second.ts, third.ts], [first.ts, first.ts])
      assert.ok(first.event_id < second.event_id && second.event_id < third.event_id)
      clock.now += 7_200_000
      assert.equal((await decide(log, set('a'), 'four')).ts, new Date(clock.now).toISOString())
    },
  },
  {
    name: 'an intent that is repeated gives its first events, also after a restart and whatever head it expects',
    async run({ log, clock, reopen }) {
      const drafts = [set('a', { half: 0.5, list: [1, null] }), note('n')]
      const first = await log.append(space, drafts, { intentId: 'one', expectHead: 0 })
      await decide(log, set('b'), 'two')
      clock.now += 1000
      assert.deepEqual(await log.append(space, drafts, { intentId: 'one', expectHead: 0 }), first)
      assert.deepEqual(await (await reopen()).append(space, drafts, { intentId: 'one' }), first)
      assert.equal((await log.head(space)).seq, 3)
    },
  },
  {
    name: 'the same intent at the same time is one decision',
    async run({ log }) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => log.append(space, [set('a')], { intentId: 'one' })),
      )
      for (const answer of answers) assert.deepEqual(answer, answers[0])
      assert.equal((await log.head(space)).seq, 1)
    },
  },
  {
    name: 'an intent with other drafts is intent_reused, and is its own in each space',
    async run({ log, reopen }) {
      await decide(log, set('a', 1), 'one')
      const other: readonly DecisionDraft[][] = [
        [set('a', 2)],
        [set('a', 1), note('more')],
        [{ ...set('a', 1), actor: 'somebody' }],
      ]
      for (const drafts of other)
        await assert.rejects(log.append(space, drafts, { intentId: 'one' }), code('intent_reused'))
      await assert.rejects((await reopen()).append(space, [set('b')], { intentId: 'one' }), code('intent_reused'))
      const [elsewhere] = await log.append('elsewhere', [set('a', 2)], { intentId: 'one' })
      assert.equal(elsewhere?.seq, 1)
      assert.equal((await log.head(space)).seq, 1)
    },
  },
  {
    name: 'an append that expects another head is head_moved with the head there is',
    async run({ log }) {
      await log.append(space, [set('a')], { intentId: 'one', expectHead: 0 })
      await assert.rejects(log.append(space, [set('a')], { intentId: 'two', expectHead: 0 }), (error: unknown) => {
        assert.deepEqual((error as { readonly data: unknown }).data, { head: 1 })
        return code('head_moved')(error)
      })
      await log.append(space, [set('a')], { intentId: 'two', expectHead: 1 })
      const racing = await Promise.allSettled(
        ['three', 'four'].map((intentId) => log.append(space, [set('a')], { intentId, expectHead: 2 })),
      )
      assert.deepEqual(racing.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    },
  },
  {
    name: 'an alias that would lead back to itself is refused, at once and over others',
    async run({ log, reopen }) {
      const alias = (name: string, target: string): DecisionDraft => ({
        kind: 'alias',
        actor,
        payload: { name, target },
      })
      await log.append(space, [alias('a', 'b'), alias('b', 'c')], { intentId: 'one' })
      for (const closing of [[alias('c', 'a')], [alias('x', 'x')], [alias('c', 'd'), alias('d', 'a')]]) {
        await assert.rejects(log.append(space, closing, { intentId: 'two' }), code('alias_cycle'))
      }
      await assert.rejects((await reopen()).append(space, [alias('c', 'a')], { intentId: 'two' }), code('alias_cycle'))
      // The last one wins: `a` stands for `z` from now on, so that `c` may stand for `a`.
      await log.append(space, [alias('a', 'z'), alias('c', 'a')], { intentId: 'two' })
      assert.equal((await log.head(space)).seq, 4)
    },
  },
  {
    name: 'a binding is withdrawn once; what is no binding cannot be',
    async run({ log }) {
      const unbinding = (event_id: string): DecisionDraft => ({ kind: 'unbinding', actor, payload: { event_id } })
      const bound = await decide(log, { kind: 'binding', actor, payload: { a: 'x', b: 'y' } }, 'one')
      const other = await decide(log, set('x'), 'two')
      await assert.rejects(decide(log, unbinding(other.event_id), 'three'), code('binding_unknown'))
      const twice = [unbinding(bound.event_id), unbinding(bound.event_id)]
      await assert.rejects(log.append(space, twice, { intentId: 'three' }), code('binding_unknown'))
      await decide(log, unbinding(bound.event_id), 'three')
      await assert.rejects(decide(log, unbinding(bound.event_id), 'four'), code('binding_unknown'))
    },
  },
  {
    name: 'bad input changes nothing',
    async run({ log }) {
      await decide(log, set('a'), 'one')
      const refused = (drafts: readonly unknown[], expected: string, o: object = {}) =>
        assert.rejects(
          log.append(space, drafts as DecisionDraft[], { intentId: 'two', ...o }),
          code(expected),
          JSON.stringify(drafts).slice(0, 80),
        )
      await refused([], 'invalid_request')
      await refused([set('a')], 'invalid_client_message_id', { intentId: 'with space' })
      await refused([set('a'), { kind: 'edict', actor, payload: {} }], 'decision_kind_unknown')
      await refused([set('a'), { ...set('b'), more: 1 }], 'invalid_decision')
      await refused([{ ...set('b'), actor: 'two\nlines' }], 'invalid_decision')
      await refused([{ kind: 'overlay', actor, payload: { target: 't' } }], 'invalid_decision')
      await refused([{ kind: 'overlay', actor, payload: { target: 't', patch: {}, text: '' } }], 'invalid_decision')
      const origin = { space, seq: 1 }
      await refused([{ kind: 'note', actor, payload: { text: '', refs: [], origin } }], 'invalid_decision')
      for (const value of [
        Number.NaN,
        Infinity,
        -0,
        1n,
        new Date(0),
        '\ud800',
        '\u0000',
        [undefined],
        { a: undefined },
      ]) {
        await assert.rejects(log.append(space, [set('a', value)], { intentId: 'two' }), code('decision_inexact'))
      }
      await refused([set('a', 'x'.repeat(256 * 1024))], 'decision_too_large')
      for (const name of ['', '-a', 'A', 'a/b', 'a'.repeat(65), '../a']) {
        await assert.rejects(log.append(name, [set('a')], { intentId: 'two' }), code('invalid_space'))
        await assert.rejects(log.head(name), code('invalid_space'))
        await assert.rejects(collect(log.events(name)), code('invalid_space'))
      }
      assert.deepEqual([(await log.head(space)).seq, await log.spaces()], [1, [space]])
      const [event] = await log.append(space, [set('a', 'x'.repeat(255 * 1024))], { intentId: 'two' })
      assert.equal(event?.seq, 2)
    },
  },
  {
    name: 'what a caller does to a draft or an answer later is not in the log',
    async run({ log }) {
      const value = { list: [1] }
      const draft = set('a', value)
      const [answered] = await log.append(space, [draft], { intentId: 'one' })
      value.list.push(2)
      Object.assign(answered?.payload ?? {}, { value: 'changed' })
      const [event] = await collect(log.events(space))
      assert.deepEqual(event?.payload, { key: 'a', value: { list: [1] } })
    },
  },
]
