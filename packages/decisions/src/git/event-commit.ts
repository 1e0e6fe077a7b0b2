/**
 * An event as a commit (07 §3). Everything in it comes from the event and its parent: the same events always have the same
 * ids, so that a log is checked by making the commits again, and a log that was imported is the same one by its id.
 */
import type { DecisionEvent } from '../event.ts'
import { type GitObject, makeObject, type ObjectFormat, textObjectId, treeOfFileId } from './git-object.ts'

/** The one file in the tree of each commit; docs/decisions says why there are no others. */
export const eventFileName = 'event.json'

const treeEntry = Buffer.from(`100644 ${eventFileName}\0`)
const committer = 'claudemesh <>'
const subjectCharsMax = 72

/** The objects of one event. */
export interface EventCommit {
  readonly commit: GitObject
  readonly tree: GitObject
  readonly blob: GitObject
}

/** What a commit follows and how it is named. */
export interface CommitPlace {
  readonly format: ObjectFormat
  /** The commit of the event before; null for the first. */
  readonly parent: Buffer | null
}

/** @param bytes as `encodeEvent` gives them */
export function makeEventCommit(event: DecisionEvent, bytes: Buffer, { format, parent }: CommitPlace): EventCommit {
  const blob = makeObject(format, 'blob', bytes)
  const tree = makeObject(format, 'tree', Buffer.concat([treeEntry, blob.id]))
  const text = commitText(event, { tree: tree.id.toString('hex'), parent: parent?.toString('hex') ?? null })
  return { commit: makeObject(format, 'commit', Buffer.from(text)), tree, blob }
}

/**
 * The id of the commit of `makeEventCommit`, hexadecimal, for a fraction of making its objects.
 *
 * @param text of the event, as it was written
 * @param place `parent`: hexadecimal
 */
export function eventCommitId(
  event: DecisionEvent,
  text: string,
  { format, parent }: { readonly format: ObjectFormat; readonly parent: string | null },
): string {
  const tree = treeOfFileId(format, eventFileName, textObjectId(format, 'blob', text))
  return textObjectId(format, 'commit', commitText(event, { tree, parent }))
}

function commitText(event: DecisionEvent, o: { readonly tree: string; readonly parent: string | null }): string {
  // Git counts whole seconds; the event itself has the milliseconds.
  const time = `${Math.floor(Date.parse(event.ts) / 1000)} +0000`
  return `tree ${o.tree}
${o.parent === null ? '' : `parent ${o.parent}\n`}author ${event.actor} <> ${time}
committer ${committer} ${time}

${subjectOf(event)}

Space: ${event.space}
Seq: ${event.seq}
Event-Id: ${event.event_id}
Intent-Id: ${event.intent_id}
`
}

/** `<kind> <what it is about>` on one line, as `git log --oneline` shows it. */
function subjectOf(event: DecisionEvent): string {
  const line = `${event.kind} ${summaryOf(event)}`.replace(/[\s\p{Cc}]+/gu, ' ').trim()
  if (line.length <= subjectCharsMax) return line
  const letters = [...line]
  return letters.length <= subjectCharsMax ? line : `${letters.slice(0, subjectCharsMax - 1).join('')}…`
}

function summaryOf(event: DecisionEvent): string {
  switch (event.kind) {
    case 'overlay':
      return event.payload.target
    case 'binding':
      return `${event.payload.a} = ${event.payload.b}`
    case 'unbinding':
      return event.payload.event_id
    case 'alias':
      return `${event.payload.name} -> ${event.payload.target}`
    case 'merge':
      return `${event.payload.from.join(', ')} into ${event.payload.into}`
    case 'fork':
      return `from ${event.payload.from_space} at ${event.payload.from_seq}`
    case 'state':
      return event.payload.value === null ? `${event.payload.key} removed` : event.payload.key
    case 'note':
      return event.payload.text
    default:
      return event satisfies never
  }
}
