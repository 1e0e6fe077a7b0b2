import type { ArgumentDefinition, Invocation, OptionDefinition } from './command.ts'
import { invalidUsage } from './flags.ts'

/** An outbox row is named as an argument or by --id, whichever comes to hand. */
export const outboxIdArgument: ArgumentDefinition = { syntax: '[id]', describe: 'outbox id of the row' }
export const outboxIdOption: OptionDefinition = { syntax: '--id <id>', describe: 'the same, as an option' }

/** @throws MeshError invalid_usage when there is none, or two */
export function readOutboxId({ args, flags }: Invocation): string {
  const option = flags.text('id')
  const [argument] = args
  if (option !== null && argument !== undefined)
    throw invalidUsage('the row is named twice, as an argument and by --id')
  const id = option ?? argument
  if (id === undefined)
    throw invalidUsage('the outbox id is missing', 'List the rows with `claudemesh daemon outbox list`.')
  return id
}
