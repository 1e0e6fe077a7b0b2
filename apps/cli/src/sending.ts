/** What `send` and `topic post` have in common: the options that make a message, how long to wait, what is told of it. */
import type { SendRequest, SendResponse, SendState, WaitState } from '@claudemesh/protocol'
import type { OptionDefinition } from './command.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { type Flags, invalidUsage } from './flags.ts'
import type { Terminal } from './output/terminal.ts'
import { readText } from './text-input.ts'

export const messageOptions: readonly OptionDefinition[] = [
  { syntax: '--file <path>', describe: 'take the body from a file' },
  { syntax: '--reply-to <id>', describe: 'the message that this one answers' },
  { syntax: '--mention <name>', describe: 'a member to mention; repeatable', repeatable: true },
  {
    syntax: '--meta <key=value>',
    describe: 'a member of meta; JSON values are taken as such; repeatable',
    repeatable: true,
  },
  { syntax: '--priority <priority>', describe: 'now, next or low; default next' },
  { syntax: '--content-type <type>', describe: 'what the body is, such as text/markdown' },
  { syntax: '--no-receipts', describe: 'ask for no receipts beyond accepted' },
  { syntax: '--id <key>', describe: 'idempotency key: the same key and message again is the same send' },
  { syntax: '--wait <state>', describe: 'queued, accepted, delivered or read; default accepted' },
  { syntax: '--timeout <seconds>', describe: 'how long to wait, 0 to 30; default 2 for accepted, else 30' },
]

/** The message that the options and the text describe, without its destination. */
export async function readMessage(flags: Flags, text: string | null): Promise<Omit<SendRequest, 'to'>> {
  const message = await readText({ text, file: flags.text('file') }, { what: 'the message', fileOption: '--file' })
  const priority = flags.choice('priority', ['now', 'next', 'low'])
  const replyToId = flags.text('reply-to')
  const contentType = flags.text('content-type')
  const clientMessageId = flags.text('id')
  const mentions = flags.texts('mention')
  const meta = readMeta(flags)
  return {
    message,
    ...(priority === null ? {} : { priority }),
    ...(replyToId === null ? {} : { replyToId }),
    ...(contentType === null ? {} : { contentType }),
    ...(clientMessageId === null ? {} : { client_message_id: clientMessageId }),
    ...(mentions.length === 0 ? {} : { mentions: [...mentions] }),
    ...(meta === null ? {} : { meta }),
    ...(flags.isSet('no-receipts') ? { receipts: false } : {}),
  }
}

function readMeta(flags: Flags): Record<string, unknown> | null {
  const pairs = flags.pairs('meta')
  if (pairs.length === 0) return null
  const meta = new Map<string, unknown>()
  for (const [key, value] of pairs) {
    if (meta.has(key)) throw invalidUsage(`--meta gives ${key} twice`)
    meta.set(key, metaValue(value))
  }
  return Object.fromEntries(meta)
}

/** `17`, `true`, `null`, `[1]`, `{"a":1}` and `"text"` are JSON; everything else is the text itself. */
export function metaValue(text: string): unknown {
  if (!/^(?:true|false|null|-?[0-9]|["[{])/.test(text)) return text
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    // It only looks like JSON, as `1.2.3` does.
    return text
  }
}

/** How long a send waits, and for what. */
export interface Waiting {
  readonly waitMs: number
  readonly until: WaitState
  /** The state without which the command failed; null when any will do. */
  readonly required: 'accepted' | 'delivered' | 'read' | null
}

const timeoutSecondsMax = 30
const timeoutSecondsDefault = 2

export function readWaiting(flags: Flags): Waiting {
  const wait = flags.choice('wait', ['queued', 'accepted', 'delivered', 'read'])
  if ((wait === 'delivered' || wait === 'read') && flags.isSet('no-receipts')) {
    throw invalidUsage(
      `--wait ${wait} waits for receipts, and --no-receipts asks for none`,
      'Leave one of the two out.',
    )
  }
  const seconds = flags.integer('timeout', { min: 0, max: timeoutSecondsMax })
  if (wait === 'queued') return { waitMs: 0, until: 'accepted', required: null }
  const fallback = wait === null || wait === 'accepted' ? timeoutSecondsDefault : timeoutSecondsMax
  return { waitMs: (seconds ?? fallback) * 1000, until: wait ?? 'accepted', required: wait }
}

/** Prints the state that was reached, and nothing beyond it. */
export function reportSend(terminal: Terminal, answer: SendResponse, waiting: Waiting): ExitCode {
  terminal.print({ value: answer, render: () => [sendLine(answer)] })
  const outcome = outcomeOf(answer, waiting.required)
  if (!terminal.json) for (const line of notesOn(answer, outcome, waiting)) terminal.note(line)
  return exitCodeOf[outcome]
}

type SendOutcome = 'reached' | 'not_yet' | 'nobody' | 'failed'

const exitCodeOf: Readonly<Record<SendOutcome, ExitCode>> = {
  reached: exitCodes.ok,
  not_yet: exitCodes.tryLater,
  nobody: exitCodes.data,
  failed: exitCodes.data,
}

const progress: readonly SendState[] = ['queued', 'accepted', 'delivered', 'read']

/** Whether the state is what was asked for, may still become it, or never will: it failed, or is addressed to nobody. */
export function outcomeOf(
  { state, recipient_count: recipients }: Pick<SendResponse, 'state' | 'recipient_count'>,
  required: Waiting['required'],
): SendOutcome {
  if (state === 'dead' || state === 'aborted' || state === 'undeliverable') return 'failed'
  if (required === null || progress.indexOf(state) >= progress.indexOf(required)) return 'reached'
  return recipients === 0 ? 'nobody' : 'not_yet'
}

function sendLine(answer: SendResponse): string {
  const ids = [
    answer.broker_message_id === undefined ? null : `message ${answer.broker_message_id}`,
    `key ${answer.client_message_id}`,
    answer.duplicate === true ? 'already sent before' : null,
  ]
  return `${answer.state}  ${ids.filter((part) => part !== null).join('  ')}`
}

/** What to add for a person when the state alone may be misunderstood. */
export function notesOn(
  answer: SendResponse,
  outcome: SendOutcome,
  waiting: Pick<Waiting, 'waitMs' | 'until'>,
): readonly string[] {
  switch (outcome) {
    case 'failed':
      return [whyFailed(answer), ...inspect(answer)]
    case 'nobody':
      return [`the broker has it, and nobody else subscribes to the topic: it will never be ${waiting.until}`]
    case 'not_yet':
      return [`${whereItIs(answer)}; ${waiting.until} was not reached in time`, ...inspect(answer)]
    case 'reached':
      if (answer.state !== 'queued' || waiting.waitMs === 0) return []
      if (answer.last_error !== undefined) return [whereItIs(answer), ...inspect(answer)]
      return ['it is kept on this host; the broker has not taken it yet', ...inspect(answer)]
    default:
      return outcome satisfies never
  }
}

/** For whom, where there are several, and why. */
function whyFailed({
  state,
  receipts = [],
  recipient_count: recipients = 1,
  last_error: lastError,
}: SendResponse): string {
  const reached = new Set(receipts.flatMap((each) => (each.state === 'undeliverable' ? [] : [each.recipient])))
  const lost = receipts.filter((each) => each.state === 'undeliverable' && !reached.has(each.recipient))
  const isOfReceipts = state === 'undeliverable' && lost.length > 0
  const reasons = isOfReceipts ? [...new Set(lost.flatMap((each) => each.reason ?? []))].join(', ') : (lastError ?? '')
  const whom = isOfReceipts && recipients > 1 ? ` to ${lost.length} of ${recipients} recipients` : ''
  return `the message was not delivered${whom}${reasons === '' ? '' : `: ${reasons}`}`
}

function whereItIs({ state, last_error: lastError }: SendResponse): string {
  if (state === 'queued')
    return `it is kept on this host and ${lastError === undefined ? 'goes out by itself' : `waits: ${lastError}`}`
  return state === 'accepted' ? 'the broker has it' : 'it was delivered'
}

function inspect(answer: SendResponse): readonly string[] {
  return [`  -> claudemesh daemon outbox show ${answer.outbox_id}`]
}
