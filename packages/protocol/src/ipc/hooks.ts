/** `/v1/hooks`: executables that events fire (03 §4). */
import { type Static, Type } from 'typebox'
import { closed, timeSchema } from './schemas.ts'

const hookNamePattern = '^[a-z0-9][a-z0-9._-]{0,79}$'

const count = Type.Integer({ minimum: 0 })
const textOrNull = Type.Union([Type.String(), Type.Null()])
const confinement = Type.Union([Type.Literal('network'), Type.Literal('files'), Type.Literal('processes')])
const sandboxKind = Type.Union([Type.Literal('none'), Type.Literal('bwrap'), Type.Literal('unshare')])

/** What is recorded of a run: `hook_executed` carries it. */
const hookRunSchema = Type.Object({
  run: Type.String(),
  hook: Type.String(),
  event: Type.String({ description: 'type of the event, or send' }),
  event_id: textOrNull,
  started_at: timeSchema,
  duration_ms: count,
  result: Type.Union([Type.Literal('ok'), Type.Literal('failed'), Type.Literal('killed'), Type.Literal('timeout')]),
  exit_code: Type.Union([Type.Integer(), Type.Null()]),
  signal: textOrNull,
  stdout_bytes: count,
  truncated: Type.Boolean({ description: 'what it was given was cut' }),
  reply: Type.Union([Type.Literal('none'), Type.Literal('sent'), Type.Literal('refused'), Type.Literal('suppressed')], {
    description: 'suppressed: what it answered to was the answer of a hook',
  }),
  sandbox: sandboxKind,
  enforced: Type.Array(confinement),
  unconfined: Type.Boolean({ description: 'it ran without the sandbox that it asks for' }),
})

const stderrSchema = Type.String({ description: 'the beginning of it' })

const hookSchema = Type.Object({
  name: Type.String(),
  waits_for: Type.Union([Type.String(), Type.Null()], { description: 'why it does not run now; null: it does' }),
  timeout_seconds: Type.Number(),
  allow_reply: Type.Boolean(),
  capabilities: Type.Array(Type.String()),
  redact: Type.Array(Type.String()),
  parallel: Type.Integer(),
  sandbox: Type.Object({
    kind: sandboxKind,
    required: Type.Boolean(),
    fault: Type.Union([Type.String(), Type.Null()], { description: 'why it does not work on this machine' }),
    enforced: Type.Array(confinement),
    not_enforced: Type.Array(confinement),
  }),
  running: count,
  behind: Type.Integer({ minimum: 0, description: 'events that it has not come to, at most' }),
  missed: Type.Integer({ minimum: 0, description: 'events that were removed before it came to them, at most' }),
  unconfined: Type.Integer({ minimum: 0, description: 'runs without the sandbox that it asks for' }),
  runs: Type.Record(Type.String(), count, { description: 'since the start, by result' }),
  last_run: Type.Union([Type.Object({ ...hookRunSchema.properties, stderr: stderrSchema }), Type.Null()]),
})

export const hookListSchema = Type.Object({
  enabled: Type.Boolean({ description: '[hooks] enabled, as it is in force' }),
  directory: Type.String(),
  hooks: Type.Array(hookSchema),
})

export const hookParamsSchema = Type.Object(
  { name: Type.String({ pattern: hookNamePattern, description: 'name of a hook' }) },
  closed,
)

export const hookTestAnswerSchema = Type.Object({
  run: hookRunSchema,
  stdout: Type.String(),
  stderr: stderrSchema,
  reply: Type.Union([Type.String(), Type.Null()], { description: 'what would be sent as its reply' }),
})

export type HookRunView = Static<typeof hookRunSchema>
export type HookView = Static<typeof hookSchema>
export type HookList = Static<typeof hookListSchema>
export type HookTestAnswer = Static<typeof hookTestAnswerSchema>
