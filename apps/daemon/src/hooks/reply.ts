/** What a hook answers on its standard output: `{"reply": "..."}`. */
import { isCarriableText, type SendRequest } from '@claudemesh/protocol'
import { keyOfHook } from './capabilities.ts'
import { stdoutBytesMax } from './limits.ts'
import type { ProcessEnd } from './process.ts'
import { autoReplyMember, type Subject } from './subject.ts'

/** The text that a hook answers; null when it answers nothing, or nothing that can be told from other output. */
export function readReply({ stdout, stdoutBytes }: Pick<ProcessEnd, 'stdout' | 'stdoutBytes'>): string | null {
  if (stdoutBytes > stdoutBytesMax) return null
  try {
    const answer = JSON.parse(stdout) as { reply?: unknown } | null
    const reply = answer !== null && typeof answer === 'object' ? answer.reply : undefined
    return typeof reply === 'string' && isCarriableText(reply) ? reply : null
  } catch {
    // Output for people.
    return null
  }
}

/** The same for every run for one event: however often it runs, it answers once. */
export function replyRequest(o: {
  readonly hook: string
  readonly subject: Subject
  readonly answerTo: string
  readonly text: string
}): SendRequest {
  const { hook, subject, answerTo, text } = o
  return {
    to: answerTo,
    message: text,
    meta: { [autoReplyMember]: true },
    ...(subject.messageId === null ? {} : { replyToId: subject.messageId }),
    client_message_id: keyOfHook({ hook, subject }, 'reply'),
  }
}
