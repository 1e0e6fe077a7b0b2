/** The part of the protocol that is about hooks: answers of their routes, and what is recorded of a run. */
export {
  type HookList,
  type HookRunView,
  type HookTestAnswer,
  type HookView,
  hookListSchema,
  hookParamsSchema,
  hookTestAnswerSchema,
} from './ipc/hooks.ts'
