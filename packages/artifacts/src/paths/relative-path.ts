/**
 * What a path inside a package may be (06 §9). The rules stand in the order in which they are looked at, and the first
 * that is broken gives the reason. Nothing is repaired but the normalisation form, and nothing is percent-decoded.
 */
import { ArtifactError } from '../artifact-error.ts'

/** `portable`: a path that every file system takes, told apart as the strictest of them does. `posix`: as Linux does. */
export type PathPolicy = 'portable' | 'posix'

export interface RelativePath {
  /** Segments parted by `/`, in normalisation form C. */
  readonly relative_path: string
  /** Equal for two paths that some file system of the policy takes for one. */
  readonly path_key: string
}

const bytesMax = 1024
const segmentsMax = 64
const segmentBytesMax = 255

interface Rule {
  readonly reason: string
  readonly portableOnly?: true
  readonly breaks: (path: string, segments: readonly string[]) => boolean
  readonly detail: string
}

const reservedName = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])$/i

const textRules: readonly Rule[] = [
  { reason: 'lone_surrogate', breaks: (path) => !path.isWellFormed(), detail: 'It contains a lone surrogate.' },
  { reason: 'nul', breaks: (path) => path.includes('\u0000'), detail: 'It contains U+0000.' },
  {
    reason: 'control',
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    breaks: (path) => /[\u0001-\u001f\u007f-\u009f]/.test(path),
    detail: 'It contains a control character.',
  },
  {
    reason: 'bidi',
    breaks: (path) => /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(path),
    detail: 'It contains a character that changes the direction of writing.',
  },
]

const pathRules: readonly Rule[] = [
  { reason: 'empty', breaks: (path) => path === '', detail: 'It is empty.' },
  { reason: 'absolute', breaks: (path) => path.startsWith('/'), detail: 'It begins with /.' },
  {
    reason: 'too_long',
    breaks: (path) => Buffer.byteLength(path) > bytesMax,
    detail: `It has more than ${bytesMax} bytes.`,
  },
  {
    reason: 'backslash',
    portableOnly: true,
    breaks: (path) => path.includes('\\'),
    detail: 'It contains a backslash.',
  },
  {
    reason: 'drive',
    portableOnly: true,
    breaks: (path) => /^[A-Za-z]:/.test(path),
    detail: 'It begins with the letter of a drive.',
  },
  { reason: 'empty_segment', breaks: (_, segments) => segments.includes(''), detail: 'One of its segments is empty.' },
  {
    reason: 'traversal',
    breaks: (_, segments) => segments.some((segment) => segment === '.' || segment === '..'),
    detail: 'One of its segments is . or .. .',
  },
  {
    reason: 'too_deep',
    breaks: (_, segments) => segments.length > segmentsMax,
    detail: `It has more than ${segmentsMax} segments.`,
  },
  {
    reason: 'segment_too_long',
    breaks: (_, segments) => segments.some((segment) => Buffer.byteLength(segment) > segmentBytesMax),
    detail: `One of its segments has more than ${segmentBytesMax} bytes.`,
  },
  {
    reason: 'windows_char',
    portableOnly: true,
    breaks: (path) => /[<>:"|?*]/.test(path),
    detail: 'It contains one of < > : " | ? *, which Windows does not take.',
  },
  {
    reason: 'trailing_dot_space',
    portableOnly: true,
    breaks: (_, segments) => segments.some((segment) => /[. ]$/.test(segment)),
    detail: 'One of its segments ends with a dot or a space, which Windows drops.',
  },
  {
    reason: 'windows_reserved',
    portableOnly: true,
    breaks: (_, segments) => segments.some(isReserved),
    detail: 'One of its segments is the name of a device on Windows.',
  },
]

/**
 * Checks a path and gives it the form in which it is stored, and the key by which it is told apart from others.
 *
 * @throws ArtifactError `invalid_path` with the first broken rule as its reason
 */
export function normalizeRelativePath(input: unknown, policy: PathPolicy): RelativePath {
  if (typeof input !== 'string') throw invalidPath('not_a_string', 'It is not a text.')
  const rules = (list: readonly Rule[]) =>
    list.filter(({ portableOnly }) => portableOnly !== true || policy === 'portable')
  assertRules(rules(textRules), input)
  const path = input.normalize('NFC')
  assertRules(rules(pathRules), path)
  return { relative_path: path, path_key: policy === 'posix' ? path : portableKey(path) }
}

/** Folds what file systems that do not tell cases apart fold; upper first, since ß and ſ have no way back. */
function portableKey(path: string): string {
  return path.toUpperCase().toLowerCase().normalize('NFC')
}

function assertRules(rules: readonly Rule[], path: string): void {
  const segments = path.split('/')
  const broken = rules.find(({ breaks }) => breaks(path, segments))
  if (broken !== undefined) throw invalidPath(broken.reason, broken.detail)
}

/** A device is named whatever its extension, and whatever spaces stand before that. */
function isReserved(segment: string): boolean {
  const [base = ''] = segment.split('.')
  return reservedName.test(base.trimEnd())
}

function invalidPath(reason: string, detail: string): ArtifactError {
  return new ArtifactError('invalid_path', { reason, detail: `The path cannot be in a package. ${detail}` })
}
