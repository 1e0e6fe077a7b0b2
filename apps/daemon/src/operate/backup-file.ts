/**
 * What a backup holds, before it is sealed with a passphrase:
 *
 *     header length 4, big-endian | header: JSON {version, slug, ..., parts: [{name, bytes}]} | the parts, one after the other
 *
 * Parts are named by what they are and not by where they were, so that no name in a file leads anywhere.
 */
import { seqsPath } from '@claudemesh/history'
import { type DaemonPaths, homePaths, MeshError, meshFilePath, meshSlugPattern } from '@claudemesh/protocol'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'

/** In the order in which they are written back: the mesh file is last, since it is what makes the member exist. */
export const partNames = [
  'home-config',
  'daemon-config',
  'keypair',
  'keypair-archive',
  'rotation-intent',
  'invites',
  'members',
  'outbox',
  'history-seqs',
  'sinks',
  'mesh',
] as const

export type PartName = (typeof partNames)[number]

/** Where each part stands in a home. */
export function partPath(name: PartName, o: { home: string; slug: string; paths: DaemonPaths }): string {
  const { home, slug, paths } = o
  const places: Readonly<Record<PartName, string>> = {
    'home-config': homePaths(home).config,
    'daemon-config': paths.config,
    keypair: paths.keypair,
    'keypair-archive': paths.keypairArchive,
    'rotation-intent': paths.rotationIntent,
    invites: `${paths.directory}/invites.jsonl`,
    members: paths.membersDatabase,
    outbox: paths.outboxDatabase,
    'history-seqs': seqsPath(paths.history),
    sinks: paths.sinks,
    mesh: meshFilePath(home, slug),
  }
  return places[name]
}

const headerSchema = Type.Object(
  {
    version: Type.Literal(1),
    slug: Type.String({ pattern: meshSlugPattern }),
    mesh_id: Type.String(),
    member_id: Type.String(),
    name: Type.String(),
    created_at: Type.Integer({ minimum: 0 }),
    parts: Type.Array(
      Type.Object(
        { name: Type.Union(partNames.map((name) => Type.Literal(name))), bytes: Type.Integer({ minimum: 0 }) },
        { additionalProperties: false },
      ),
      { maxItems: partNames.length },
    ),
  },
  { additionalProperties: false },
)
const check = Compile(headerSchema)

export type BackupFacts = Omit<Static<typeof headerSchema>, 'version' | 'parts'>

export interface BackupContent {
  readonly facts: BackupFacts
  readonly parts: ReadonlyMap<PartName, Buffer>
}

const lengthBytes = 4

export function packBackup({ facts, parts }: BackupContent): Buffer {
  const listed = [...parts].map(([name, bytes]) => ({ name, bytes: bytes.length }))
  const header = Buffer.from(JSON.stringify({ version: 1, ...facts, parts: listed }), 'utf8')
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(header.length)
  return Buffer.concat([length, header, ...parts.values()])
}

/** @throws MeshError `passphrase_file_invalid` when the bytes are not what `packBackup` makes */
export function unpackBackup(bytes: Buffer): BackupContent {
  const headerEnd = bytes.length < lengthBytes ? 0 : lengthBytes + bytes.readUInt32BE()
  const header = parseHeader(bytes.subarray(lengthBytes, headerEnd))
  const { version: _, parts: listed, ...facts } = header
  const parts = new Map<PartName, Buffer>()
  let start = headerEnd
  for (const { name, bytes: length } of listed) {
    parts.set(name, bytes.subarray(start, start + length))
    start += length
  }
  if (start !== bytes.length || parts.size !== listed.length) throw invalid()
  return { facts, parts }
}

function parseHeader(bytes: Buffer): Static<typeof headerSchema> {
  try {
    const header: unknown = JSON.parse(bytes.toString('utf8'))
    if (check.Check(header)) return header
  } catch {
    // The parser's message would quote the file. What a person needs to know follows.
  }
  throw invalid()
}

function invalid(): MeshError {
  return new MeshError('passphrase_file_invalid', { detail: 'the file opens with this passphrase and holds no backup' })
}
