/** What a thread is made of: received and sent messages alike. */
export interface ThreadMessage {
  readonly id: string
  readonly reply_to_id: string | null
  readonly accepted_at: number
}

/** A store that holds some messages of a thread. */
export interface ThreadSource<M extends ThreadMessage> {
  get(id: string): M | null
  /** Direct replies, oldest first. */
  repliesTo(id: string, limit: number): readonly M[]
}

export interface ThreadMessages<M extends ThreadMessage> {
  readonly root: string
  /** Each message after the one it answers. */
  readonly messages: readonly M[]
  /** True when something is missing: the beginning is not on this host, or the bound was reached. */
  readonly truncated: boolean
}

/**
 * The reply chain around a message: up to its root, then down again breadth first.
 *
 * @param input.messagesMax bound of the way up and of the answer
 * @returns null when no source has the message
 */
export function readThread<M extends ThreadMessage>(input: {
  readonly sources: readonly ThreadSource<M>[]
  readonly id: string
  readonly messagesMax: number
}): ThreadMessages<M> | null {
  const { sources, id, messagesMax } = input
  const start = findIn(sources, id)
  if (start === null) return null
  const { root, reachedRoot } = walkUp(sources, start, messagesMax)
  const messages = new Map([[root.id, root]])
  // Iterating a map also visits what is added meanwhile: that is the breadth-first order.
  for (const parent of messages.keys()) {
    for (const reply of repliesIn(sources, parent, messagesMax - messages.size + 1)) {
      if (messages.has(reply.id)) continue
      if (messages.size >= messagesMax) return { root: root.id, messages: [...messages.values()], truncated: true }
      messages.set(reply.id, reply)
    }
  }
  return { root: root.id, messages: [...messages.values()], truncated: !reachedRoot }
}

/** A chain that runs in a circle, which only a dishonest sender can make, ends where it would close. */
function walkUp<M extends ThreadMessage>(
  sources: readonly ThreadSource<M>[],
  start: M,
  stepsMax: number,
): { root: M; reachedRoot: boolean } {
  const seen = new Set([start.id])
  let root = start
  while (root.reply_to_id !== null) {
    const parent = seen.has(root.reply_to_id) || seen.size >= stepsMax ? null : findIn(sources, root.reply_to_id)
    if (parent === null) return { root, reachedRoot: false }
    seen.add(parent.id)
    root = parent
  }
  return { root, reachedRoot: true }
}

function findIn<M extends ThreadMessage>(sources: readonly ThreadSource<M>[], id: string): M | null {
  for (const source of sources) {
    const message = source.get(id)
    if (message !== null) return message
  }
  return null
}

function repliesIn<M extends ThreadMessage>(sources: readonly ThreadSource<M>[], id: string, limit: number): M[] {
  return sources
    .flatMap((source) => source.repliesTo(id, limit))
    .sort((left, right) => left.accepted_at - right.accepted_at)
}
