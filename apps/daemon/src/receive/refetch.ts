/**
 * Fills an inbox that took the place of a damaged one (02 §11): the messages of the retention window are read back
 * from the broker's history, oldest first, page by page.
 *
 * 1. A page and the place to go on from are one commit: a crash or a lost connection costs at most one page again.
 * 2. What comes from history was delivered before, so it is stored without being announced as new. A message that
 *    was not delivered before arrives as a delivery too, and that one counts (see inbox.ts, invariant 3).
 */
import { isSpaceMail, MeshError, type Operation, type RequestParams, type RequestResult } from '@claudemesh/protocol'
import type { InboxDraft, Refetch, StoreOutcome } from '../inbox/inbox.ts'
import { refetchPageMax } from '../limits.ts'
import type { Log } from '../log.ts'
import type { OpenMessage } from './open.ts'
import { toDraft } from './receive.ts'

export interface RefetchOptions {
  readonly inbox: {
    refetch(): Refetch | null
    storeHistory(drafts: readonly InboxDraft[], next: string | null): readonly StoreOutcome[]
  }
  readonly request: <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>
  readonly open: OpenMessage
  readonly retentionDays: () => number
  readonly log: Log
}

const dayMs = 24 * 60 * 60 * 1000

/**
 * Goes on where it was left, to the end of the history. Does nothing when nothing is to be fetched. To be called
 * whenever the link opens.
 *
 * @returns how many messages came back
 * @throws MeshError when the broker or the disk does not let it; the next call goes on from there
 */
export async function refetch(options: RefetchOptions): Promise<number> {
  const { inbox, request, open, log } = options
  let stored = 0
  for (let state = inbox.refetch(); state !== null; state = inbox.refetch()) {
    const since = Math.max(0, state.rebuiltAt - options.retentionDays() * dayMs)
    const { after } = state
    const page = await request('history.page', { since, limit: refetchPageMax, ...(after === null ? {} : { after }) })
    assertProgress(after, page.next)
    const outcomes = inbox.storeHistory(page.messages.map((item) => toDraft(item, open)).filter(isForInbox), page.next)
    stored += outcomes.filter((outcome) => outcome === 'stored').length
    log.info({ items: page.messages.length, done: page.next === null }, 'refetched')
  }
  return stored
}

/** What was decided with others is asked for by number, and not read from history. */
function isForInbox({ destination, content }: InboxDraft): boolean {
  return !isSpaceMail(destination, content.opened ? content.meta : null)
}

/** A broker whose pages lead back would be followed for ever. */
function assertProgress(after: string | null, next: string | null): void {
  if (next === null || /^[0-9]{1,19}$/.test(next)) {
    if (next === null || after === null || BigInt(next) > BigInt(after)) return
  }
  throw new MeshError('invalid_frame', { detail: 'the pages of the history do not lead forward' })
}
