import type { RequeueRequest } from '@claudemesh/protocol'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { type Flags, invalidUsage } from '../../flags.ts'
import { outboxIdArgument, outboxIdOption, readOutboxId } from '../../outbox-id.ts'
import { readTextFile } from '../../text-input.ts'

export const command: CommandDefinition = {
  summary: 'Send a dead or pending row again, under a new id',
  arguments: [outboxIdArgument],
  options: [
    outboxIdOption,
    { syntax: '--new-client-id <key>', describe: 'the new idempotency key; default auto: one is made' },
    {
      syntax: '--patch-payload <file>',
      describe: 'a send request (JSON) to send instead, checked as a new one would be',
    },
    { syntax: '--release-old-id', describe: 'free the old key for another message: it is no longer bound to this one' },
  ],
  examples: [
    {
      line: 'claudemesh daemon outbox requeue --id 01JD8ZC6W0000000000000000A',
      describe: 'the same message once more',
    },
    {
      line: 'claudemesh daemon outbox requeue --id 01JD... --patch-payload fixed.json',
      describe: 'a corrected message',
    },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const id = readOutboxId(invocation)
    const request = readRequest(flags)
    const answer = await withDaemon(invocation, async (client) => await client.requeue(id, request))
    terminal.print({
      value: answer,
      render: (value) => [
        `${value.old.id} is aborted; ${value.new.id} goes out with the key ${value.new.client_message_id}`,
      ],
    })
    return exitCodes.ok
  },
}

function readRequest(flags: Flags): RequeueRequest {
  const newClientId = flags.text('new-client-id')
  const patch = flags.text('patch-payload')
  return {
    ...(newClientId === null ? {} : { new_client_id: newClientId }),
    ...(patch === null ? {} : { patch_payload: readJsonFile(patch) }),
    ...(flags.isSet('release-old-id') ? { release_old_id: true } : {}),
  }
}

function readJsonFile(path: string): unknown {
  try {
    const value: unknown = JSON.parse(readTextFile(path))
    return value
  } catch (error) {
    if (error instanceof SyntaxError) throw invalidUsage(`${path} is not JSON: ${error.message}`)
    throw error
  }
}
