import type { DecideOptions } from '@claudemesh/client'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { type DecisionFlags, kindSyntaxes, readDecisions } from '../../decisions/drafts.ts'
import { sequenceBounds, spaceArgument } from '../../decisions/options.ts'
import { decisionLine } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'
import type { Flags } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Decide something in a space; it is kept when this returns',
  arguments: [spaceArgument, { syntax: '[decision...]', describe: kindSyntaxes.join(';\n') }],
  options: [
    { syntax: '--json-value', describe: 'the value of a state is JSON; else it is a text' },
    { syntax: '--remove', describe: 'of a state: remove the key' },
    { syntax: '--ref <text>', describe: 'what a note is about; repeatable', repeatable: true },
    { syntax: '--relation <text>', describe: 'of a binding: in which way they are the same' },
    { syntax: '--patch <json>', describe: 'of an overlay: a JSON merge patch (RFC 7396)' },
    { syntax: '--strategy <text>', describe: 'of a merge: how it was decided' },
    { syntax: '--reason <text>', describe: 'of a fork' },
    {
      syntax: '--json-draft <path>',
      describe: 'any decisions as JSON, {"kind", "payload"}: one, an array, or one a line; - for stdin',
    },
    { syntax: '--expect-head <n>', describe: 'decide only if nothing came after the decision of that number' },
    { syntax: '--intent <id>', describe: 'your own idempotency key: the same again is the same decision' },
    { syntax: '--sign', describe: 'with the key of this member' },
  ],
  examples: [
    { line: 'claudemesh decision append plans state database sqlite', describe: 'a key gets a value' },
    { line: 'claudemesh decision append plans state retries 3 --json-value', describe: 'a number, not the text "3"' },
    { line: 'claudemesh decision append plans note "one file is enough" --ref database', describe: 'and why' },
    { line: 'claudemesh decision append plans alias db database', describe: 'another name for it' },
    { line: 'claudemesh decision append plans --json-draft - < drafts.ndjson', describe: 'all of them, or none' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [space = '', ...words] = args
    const options = readOptions(flags)
    const decisions = await readDecisions(words, readDecisionFlags(flags))
    const events = await withDaemon(invocation, async ({ spaces }) => await spaces.decide(space, decisions, options))
    terminal.print({ value: { events }, render: () => events.map(decisionLine) })
    return exitCodes.ok
  },
}

function readOptions(flags: Flags): DecideOptions {
  const expectHead = flags.integer('expect-head', sequenceBounds)
  const intentId = flags.text('intent')
  return {
    sign: flags.isSet('sign'),
    ...(expectHead === null ? {} : { expectHead }),
    ...(intentId === null ? {} : { intentId }),
  }
}

function readDecisionFlags(flags: Flags): DecisionFlags {
  return {
    jsonDraft: flags.text('json-draft'),
    isJsonValue: flags.isSet('json-value'),
    isRemoved: flags.isSet('remove'),
    refs: flags.texts('ref'),
    relation: flags.text('relation'),
    patch: flags.text('patch'),
    strategy: flags.text('strategy'),
    reason: flags.text('reason'),
  }
}
