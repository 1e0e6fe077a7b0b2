/**
 * What a hook may do besides answering on its standard output: three things, each for the event that it runs for.
 *
 * 1. A token is 32 random bytes, good while its hook runs and for five minutes at the most; only its digest is kept.
 * 2. What is allowed is rewritten from what is known of the event, never passed through: a name that leads elsewhere by now
 *    leads nowhere from here.
 * 3. Whatever is not one of the three is refused.
 */
import { createHash, randomBytes } from 'node:crypto'
import { MeshError, type SendRequest, topicNamePattern } from '@claudemesh/protocol'
import { tokenLifeMs } from './limits.ts'
import { autoReplyMember, type Subject } from './subject.ts'

/** As it is written in hooks.toml. */
export const capabilityPattern = new RegExp(
  `^(?:reply:event|dm:send:<sender>|topic:${topicNamePattern.slice(1, -1)}:post)$`,
)

export interface Grant {
  readonly hook: string
  readonly subject: Subject
  readonly capabilities: readonly string[]
}

interface Token extends Grant {
  readonly expiresAtMs: number
}

export class Capabilities {
  readonly #tokens = new Map<string, Token>()
  readonly #monotonicMs: () => number

  constructor(o: { readonly monotonicMs: () => number }) {
    this.#monotonicMs = o.monotonicMs
  }

  /** A token, and what ends it. */
  issue(grant: Grant): { readonly token: string; readonly revoke: () => void } {
    const token = randomBytes(32).toString('base64url')
    const digest = digestOf(token)
    this.#tokens.set(digest, { ...grant, expiresAtMs: this.#monotonicMs() + tokenLifeMs })
    return { token, revoke: () => void this.#tokens.delete(digest) }
  }

  /**
   * @param authorization header of a request
   * @throws MeshError unauthorized when it carries no token that is good
   */
  grantOf(authorization: string | undefined): Grant {
    const token = /^Bearer +([A-Za-z0-9_-]{43})$/i.exec(authorization ?? '')?.[1]
    // Looked up by its digest: the time that it takes tells nothing about the tokens that there are.
    const found = token === undefined ? undefined : this.#tokens.get(digestOf(token))
    if (found === undefined || found.expiresAtMs <= this.#monotonicMs()) {
      throw new MeshError('unauthorized', {
        detail: 'The request carries no capability token of a hook that runs',
        hint: 'Send Authorization: Bearer $CLAUDEMESH_TOKEN; it is good while the hook runs, for five minutes at the most.',
      })
    }
    return found
  }
}

/**
 * The send that a hook may make, from the one that it asked for.
 *
 * @throws MeshError capability_missing
 */
export function permitSend({ hook, subject, capabilities }: Grant, request: SendRequest): SendRequest {
  const to = permittedDestination({ subject, capabilities }, request)
  if (to === null) {
    throw new MeshError('capability_missing', {
      detail: `the hook ${hook} may not send to ${JSON.stringify(request.to)}`,
      data: { hook, capabilities: [...capabilities] },
    })
  }
  const { client_message_id: key, meta, ...rest } = request
  const marked = { ...rest, to, meta: { ...meta, [autoReplyMember]: true } }
  return { ...marked, ...(key === undefined ? {} : { client_message_id: keyOfHook({ hook, subject }, key) }) }
}

/** Keys of hooks are theirs: none is that of another program, or of another event. */
export function keyOfHook({ hook, subject }: Pick<Grant, 'hook' | 'subject'>, key: string): string {
  return `hook:${hook}:${subject.key}:${key}`
}

function permittedDestination(
  { subject, capabilities }: Pick<Grant, 'subject' | 'capabilities'>,
  { to, replyToId }: SendRequest,
): string | null {
  const { sender, answerTo, messageId } = subject
  const isSender = sender !== null && namesMember(sender, to)
  if (isSender && capabilities.includes('dm:send:<sender>')) return sender.id
  if (to.startsWith('#') && capabilities.includes(`topic:${to.slice(1)}:post`)) return to
  const isReply = messageId === null || replyToId === messageId
  if (answerTo === null || !isReply || !capabilities.includes('reply:event')) return null
  return to === answerTo || (isSender && answerTo === sender.id) ? answerTo : null
}

function namesMember({ id, name }: NonNullable<Subject['sender']>, to: string): boolean {
  const named = to.startsWith('@') ? to.slice(1) : to
  return named === id || (name !== null && named === name)
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
