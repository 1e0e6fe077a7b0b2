/** Packages and files as people read them. */
import type { ArtifactFile, ArtifactPackage, ShownPackage } from '@claudemesh/protocol/artifacts'
import { renderFields } from '../output/fields.ts'
import { oneLine } from '../output/printable.ts'
import { formatBytes, formatCount, formatTime } from '../output/quantity.ts'
import { renderTable } from '../output/table.ts'
import type { Terminal } from '../output/terminal.ts'

export function renderPackage(shown: ShownPackage): readonly string[] {
  const { retention } = shown
  const texts = (map: Readonly<Record<string, unknown>>) =>
    Object.entries(map)
      .filter(([, value]) => value !== null && !(typeof value === 'object' && Object.keys(value).length === 0))
      .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' ') || null
  return renderFields({
    package: shown.package_id,
    name: shown.name,
    status: shown.status,
    producer: shown.producer,
    subject: shown.subject,
    files: `${formatCount(shown.file_count, 'file')}, ${formatBytes(shown.total_size_bytes)}`,
    manifest: shown.manifest_digest,
    content: shown.content_root,
    created: formatTime(shown.created_at),
    finalized: shown.finalized_at === null ? null : formatTime(shown.finalized_at),
    kept: `${keptUntil(retention.expires_at)} (${shown.retention_class})`,
    hold: retention.hold_id === null ? null : `${retention.hold_id}: ${retention.hold_reason ?? ''}`,
    metadata: texts(shown.metadata),
    annotations: texts(shown.annotations),
    provenance: texts(shown.provenance),
  })
}

export function keptUntil(expiresAt: number | null): string {
  return expiresAt === null ? 'for ever' : `until ${formatTime(expiresAt)}`
}

export function renderPackageTable(terminal: Terminal, packages: readonly ArtifactPackage[]): readonly string[] {
  return renderTable(
    [
      { title: 'PACKAGE', cell: (row) => row.package_id },
      { title: 'STATUS', cell: (row) => row.status },
      { title: 'FILES', cell: (row) => String(row.file_count) },
      { title: 'SIZE', cell: (row) => formatBytes(row.total_size_bytes) },
      { title: 'CREATED', cell: (row) => formatTime(row.created_at) },
      { title: 'PRODUCER', cell: (row) => oneLine(row.producer), flexible: true },
      { title: 'NAME', cell: (row) => oneLine(row.name), flexible: true },
    ],
    packages,
    tableOptions(terminal),
  )
}

export function renderFileTable(terminal: Terminal, files: readonly ArtifactFile[]): readonly string[] {
  return renderTable(
    [
      { title: 'FILE', cell: (row) => row.file_id },
      { title: 'SIZE', cell: (row) => formatBytes(row.size_bytes) },
      { title: 'TYPE', cell: (row) => row.media_type, flexible: true },
      { title: 'PATH', cell: (row) => oneLine(row.relative_path), flexible: true },
    ],
    files,
    tableOptions(terminal),
  )
}

function tableOptions(terminal: Terminal) {
  return { width: terminal.width, paintTitle: (text: string) => terminal.paint('dim', text) }
}
