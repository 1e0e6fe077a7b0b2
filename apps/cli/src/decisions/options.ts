import type { ArgumentDefinition } from '../command.ts'

export const spaceArgument: ArgumentDefinition = { syntax: '<space>', describe: 'its name' }

/** Bounds of an option that is the number of an event. */
export const sequenceBounds = { min: 0, max: Number.MAX_SAFE_INTEGER } as const
