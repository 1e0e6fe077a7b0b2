/**
 * The spaces that this member shares with others: those whose topics it wants to be subscribed to. What arrives about them goes to
 * the space that it is about.
 *
 * 1. Whatever arrives may be lost: what is missing is found by the broker's head, and asked for again.
 * 2. Nothing that another member sends can end the process, or change what is here in any way but by decisions that follow.
 */
import type { AppendOptions, DecisionDraft, DecisionEvent } from '@claudemesh/decisions'
import {
  fromProblem,
  isSpaceMail,
  type JsonObject,
  MeshError,
  type Problem,
  readSpaceMail,
  type SpaceMail,
  sharedSpaceNamePattern,
  spaceOf,
  spaceTopic,
} from '@claudemesh/protocol'
import type { SharedSpaceView } from '@claudemesh/protocol/spaces'
import type { InboxDraft } from '../inbox/inbox.ts'
import type { Log } from '../log.ts'
import type { Spaces } from '../spaces/spaces.ts'
import type { CatchUp } from './catch-up.ts'
import type { SharedSpace } from './shared-space.ts'

/** One space, and of whom it takes what it has asked for. */
export interface OpenedSpace {
  readonly space: SharedSpace
  readonly catchUp: CatchUp
}

export interface SharedSpacesOptions {
  readonly spaces: Spaces
  readonly topics: {
    wants(topic: string): boolean
    wanted(): readonly string[]
    want(topic: string): Promise<void>
  }
  readonly open: (name: string) => OpenedSpace
  readonly log: Log
}

interface AppendToSpace {
  readonly space: string
  readonly drafts: readonly DecisionDraft[]
  readonly o: AppendOptions
}

const sharedName = new RegExp(sharedSpaceNamePattern)

export class SharedSpaces {
  readonly #o: SharedSpacesOptions
  readonly #opened = new Map<string, OpenedSpace>()

  constructor(o: SharedSpacesOptions) {
    this.#o = o
    o.spaces.decideElsewhere({ has: (space) => this.has(space), append: (append) => this.#append(append) })
  }

  /** Whether a space is one of them. */
  has(space: string): boolean {
    return this.#o.topics.wants(spaceTopic(space))
  }

  /**
   * Shares a space with whoever else shares one of this name, from now on: what is decided in it is decided for all of them.
   *
   * @throws MeshError `invalid_space`, and what `Spaces.create` throws
   */
  async share(space: string): Promise<void> {
    if (!sharedName.test(space)) {
      throw new MeshError('invalid_space', { detail: 'The name of a space that is shared has at most 58 characters.' })
    }
    await this.#o.spaces.create(space)
    await this.#o.topics.want(spaceTopic(space))
    this.#open(space).space.follow()
  }

  /** Who holds it and what it waits for; null for a space that is not shared. */
  statusOf(space: string): SharedSpaceView | null {
    return this.has(space) ? this.#open(space).space.status : null
  }

  /** Something about a space may be otherwise than it was: of one that is shared, what the others have is asked for. */
  follow(space: string): void {
    if (this.has(space)) this.#open(space).space.follow()
  }

  /** Asks for what was missed. */
  linkOpened(): void {
    for (const topic of this.#o.topics.wanted()) {
      const name = spaceOf({ kind: 'topic', ref: topic })
      if (name !== null) this.follow(name)
    }
  }

  /**
   * Takes a message that is about a space; fulfilled when nothing more is done with it.
   *
   * @returns null for any other message
   */
  take(draft: InboxDraft): Promise<void> | null {
    const { content, destination } = draft
    if (!isSpaceMail(destination, content.opened ? content.meta : null)) return null
    return content.opened ? this.#take(draft, content.meta, content.body) : this.#missed(spaceOf(destination))
  }

  /** Gives all leases up. */
  async stop(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(({ space }) => space.stop()))
  }

  async #append({ space, drafts, o }: AppendToSpace): Promise<readonly DecisionEvent[]> {
    const { checkAppend } = await import('@claudemesh/decisions')
    return this.#open(space).space.append({ drafts: checkAppend(drafts, o), o })
  }

  #open(name: string): OpenedSpace {
    const opened = this.#opened.get(name) ?? this.#o.open(name)
    this.#opened.set(name, opened)
    return opened
  }

  /** It could not be opened, and may have been decisions. */
  async #missed(space: string | null): Promise<void> {
    if (space !== null) this.follow(space)
  }

  async #take(draft: InboxDraft, meta: JsonObject | null, body: string): Promise<void> {
    const { sender, destination } = draft
    try {
      const mail = readSpaceMail(meta, body)
      if (mail === null) throw new MeshError('invalid_request', { detail: 'it is of no form that is known here' })
      if (!this.has(mail.about.space)) return
      const opened = this.#open(mail.about.space)
      // What the broker took for the topic was appended; what a member sends was asked for.
      const isAppended = spaceOf(destination) === mail.about.space
      await this.#handOver(opened, mail, { sender, isAppended })
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#o.log.warn({ err: error, peer: sender, id: draft.brokerMessageId }, 'space_mail_refused')
    }
  }

  async #handOver(
    { space, catchUp }: OpenedSpace,
    mail: SpaceMail,
    { sender, isAppended }: { readonly sender: string; readonly isAppended: boolean },
  ): Promise<void> {
    switch (mail.kind) {
      case '$decision_events':
        if (isAppended || catchUp.hasAsked(sender)) await takeEvents(space, mail)
        return
      case '$decision_intent': {
        const { epoch, intent_id: intentId, expect_head: expectHead } = mail.about
        const o = { intentId, ...(expectHead === undefined ? {} : { expectHead }) }
        const { checkAppend } = await import('@claudemesh/decisions')
        const drafts = checkAppend(asList(parse(mail.body)) as readonly DecisionDraft[], o)
        return space.takeIntent(sender, epoch, { drafts, o })
      }
      case '$decision_refusal': {
        const problem = fromProblem(parse(mail.body) as Partial<Problem>)
        return space.takeRefusal(sender, mail.about.intent_id, problem)
      }
      case '$decision_request':
        return space.answer(sender, mail.about)
      default:
        return mail satisfies never
    }
  }
}

async function takeEvents(space: SharedSpace, mail: Extract<SpaceMail, { kind: '$decision_events' }>): Promise<void> {
  const { decodeEvent } = await import('@claudemesh/decisions')
  const lines = mail.body.split('\n').slice(0, -1)
  try {
    await space.take(
      mail.about,
      lines.map((line) => decodeEvent(Buffer.from(`${line}\n`))),
    )
  } catch (error) {
    if (error instanceof MeshError && error.code === 'space_diverged') space.diverge(error)
    // Whatever kept them out may be over when they are asked for.
    else space.follow()
    throw error
  }
}

/** @throws MeshError `invalid_request` */
function parse(body: string): object {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Not JSON: as wrong as any other value.
  }
  throw new MeshError('invalid_request', { detail: 'its body is not what it says' })
}

function asList(value: object): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
