/** Spaces and decisions as people read them. */
import type { RecordedDecision, SharedSpaceView, SpaceLease, SpaceState, SpaceView } from '@claudemesh/protocol/spaces'
import { renderFields } from '../output/fields.ts'
import { oneLine } from '../output/printable.ts'
import { formatCount, formatTime } from '../output/quantity.ts'
import { renderTable } from '../output/table.ts'
import type { Terminal } from '../output/terminal.ts'

const memberIdShown = 12

export function renderSpaces(terminal: Terminal, spaces: readonly SpaceView[]): readonly string[] {
  return renderTable(
    [
      { title: 'SPACE', cell: (row) => row.space },
      { title: 'DECISIONS', cell: (row) => (row.damage === null ? String(row.seq) : row.damage.code) },
      { title: 'HEAD', cell: (row) => row.head?.slice(0, memberIdShown) ?? '-' },
      { title: 'APPENDS', cell: (row) => sharedHolderOf(row.shared) ?? holderOf(row.lease), flexible: true },
    ],
    spaces,
    { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
  )
}

export function renderSpace({ space, seq, head, lease, damage, shared }: SpaceView): readonly string[] {
  return renderFields({
    space,
    decisions: String(seq),
    head,
    ...(shared === null ? leaseFields(lease) : sharedFields(shared)),
    damage: damage === null ? null : `${damage.code}: ${damage.detail}`,
  })
}

export function renderLease(lease: SpaceLease | null): readonly string[] {
  return lease === null ? ['nobody has appended yet'] : renderFields(leaseFields(lease))
}

function leaseFields(lease: SpaceLease | null) {
  if (lease === null) return {}
  return {
    lease: String(lease.epoch),
    holder: lease.holder,
    held: lease.is_held ? `${lease.is_own ? 'here' : 'elsewhere'}, until ${formatTime(lease.expires_at)}` : 'no',
    granted: formatTime(lease.granted_at),
  }
}

function sharedFields(shared: SharedSpaceView) {
  return {
    shared: `${sharedHolderOf(shared)} appends`,
    lease: String(shared.epoch),
    seen: shared.head === null ? null : `${shared.head} by the broker`,
    waits: shared.waits_for === null ? null : oneLine(shared.waits_for),
  }
}

/** Who appends for all members; null: for a space that is not shared. */
function sharedHolderOf(shared: SharedSpaceView | null): string | null {
  if (shared === null) return null
  if (shared.is_own) return 'this daemon'
  return shared.holder === null ? 'nobody' : oneLine(shared.holder_name ?? shared.holder)
}

/** Who appends now. */
function holderOf(lease: SpaceLease | null): string {
  if (lease?.is_held !== true) return '-'
  return lease.is_own ? 'this daemon' : oneLine(lease.holder)
}

/** One line: number, time, who, and what it says. */
export function decisionLine(event: RecordedDecision): string {
  const actor = oneLine(event.actor.slice(0, memberIdShown))
  const mark = event.signature === 'unsigned' ? '' : ` [${event.signature}]`
  const head = `${String(event.seq).padStart(6)}  ${formatTime(Date.parse(event.ts))}  ${actor}`
  return `${head}  ${oneLine(`${event.kind} ${said(event)}${mark}`)}`
}

function said(event: RecordedDecision): string {
  const { kind, payload } = event
  switch (kind) {
    case 'state':
      return payload.value === null ? `${payload.key} removed` : `${payload.key} = ${inWords(payload.value)}`
    case 'overlay':
      return `${payload.target}: ${'text' in payload ? payload.text : inWords(payload.patch)}`
    case 'binding':
      return `${payload.a} = ${payload.b}${payload.relation === undefined ? '' : ` (${payload.relation})`}`
    case 'unbinding':
      return payload.event_id
    case 'alias':
      return `${payload.name} -> ${payload.target}`
    case 'merge':
      return `${payload.from.join(', ')} into ${payload.into} (${payload.strategy})`
    case 'fork':
      return `from ${payload.from_space} at ${payload.from_seq}: ${payload.reason}`
    case 'note':
      return payload.text
    default:
      // Of a newer daemon.
      return JSON.stringify((event satisfies never as RecordedDecision).payload)
  }
}

export function renderDecision(event: RecordedDecision): readonly string[] {
  const { payload, ts, seq, sig: _, ...fields } = event
  return [
    ...renderFields({ decision: `${seq}`, ...fields, time: formatTime(Date.parse(ts)) }),
    ...JSON.stringify(payload, null, 2).split('\n'),
  ]
}

export function renderState({ seq, ...parts }: SpaceState): readonly string[] {
  const values = Object.entries(parts.state).map(
    ([key, { value, seq: by }]) => `${oneLine(key)} = ${inWords(value)}  (${by})`,
  )
  const aliases = Object.entries(parts.aliases).map(([name, { target }]) => oneLine(`${name} -> ${target}`))
  const groups = Object.values(parts.groups).map((members) => oneLine(members.join(' = ')))
  const overlays = Object.entries(parts.overlays).map(([target, { text, patch }]) =>
    oneLine(`${target}: ${[text, patch === undefined ? null : inWords(patch)].filter(Boolean).join(' ')}`),
  )
  const notes = parts.notes.map(({ text, seq: by }) => `${oneLine(text)}  (${by})`)
  const merges = parts.merges.map(({ from, into, strategy }) =>
    oneLine(`${from.join(', ')} into ${into} (${strategy})`),
  )
  const forks = parts.forks.map(({ from_space, from_seq, reason }) =>
    oneLine(`from ${from_space} at ${from_seq}: ${reason}`),
  )
  const sections = { values, aliases, groups, overlays, merges, forks, notes }
  return [
    `after ${formatCount(seq, 'decision')}`,
    ...Object.entries(sections).flatMap(([title, lines]) =>
      lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)],
    ),
  ]
}

/** A text as it is, anything else as JSON, on one line. */
export function inWords(value: unknown): string {
  return oneLine(typeof value === 'string' ? value : JSON.stringify(value))
}
