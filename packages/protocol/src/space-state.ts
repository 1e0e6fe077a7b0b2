/** What holds in a space at one event of its log, as it is answered and kept (07 §5). */
import { type Static, type TProperties, Type } from 'typebox'
import type { JsonObject, JsonValue } from './canonical-json.ts'

const closed = { additionalProperties: false }
const sequence = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const history = Type.Array(sequence, { description: 'the numbers of the events that decided on it, in order' })

/** Which event decided it. */
const decision = { seq: sequence, event_id: Type.String(), actor: Type.String(), ts: Type.String() }

const decided = <Properties extends TProperties>(properties: Properties) =>
  Type.Object({ ...properties, ...decision }, closed)

export const spaceStateSchema = Type.Object(
  {
    seq: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'the event that it holds at' }),
    state: Type.Record(Type.String(), decided({ value: Type.Unsafe<JsonValue>({}) })),
    history: Type.Record(Type.String(), history, { description: 'of every key, also of those that were removed' }),
    aliases: Type.Record(Type.String(), decided({ target: Type.String() })),
    bindings: Type.Array(decided({ a: Type.String(), b: Type.String(), relation: Type.Optional(Type.String()) }), {
      description: 'those that hold',
    }),
    groups: Type.Record(Type.String(), Type.Array(Type.String()), {
      description: 'what is the same thing, by its smallest member',
    }),
    overlays: Type.Record(
      Type.String(),
      Type.Object(
        {
          clear: Type.Optional(
            Type.Unsafe<JsonObject | null>({
              description: 'a merge patch that goes before `patch`: what that replaces',
            }),
          ),
          patch: Type.Optional(Type.Unsafe<JsonValue>({ description: 'one merge patch (RFC 7396) for all of them' })),
          text: Type.Optional(Type.String()),
          history,
        },
        closed,
      ),
    ),
    merges: Type.Array(decided({ from: Type.Array(Type.String()), into: Type.String(), strategy: Type.String() })),
    forks: Type.Array(decided({ from_space: Type.String(), from_seq: Type.Integer(), reason: Type.String() })),
    notes: Type.Array(decided({ text: Type.String(), refs: Type.Array(Type.String()) })),
  },
  closed,
)

export type SpaceState = Static<typeof spaceStateSchema>
export type SpaceOverlay = SpaceState['overlays'][string]
