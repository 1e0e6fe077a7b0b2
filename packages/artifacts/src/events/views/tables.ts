/** The views as they are dumped: every column, in the order of the schema (06 §6). */
import { type ViewName, viewNames } from '../../db/view-names.ts'
import type { Column, ViewTable } from './statements.ts'

/** `name` is text, `name:i` an integer, `name:f` a boolean; `*` marks the key. */
const written: Readonly<Record<ViewName, string>> = {
  artifact_packages: `*package_id name producer subject status retention_class artifact_type path_policy metadata
    metadata_schema annotations provenance manifest_digest content_root file_count:i total_size_bytes:i created_at:i
    finalized_at:i last_event_sequence:i`,
  artifact_files: `*file_id package_id relative_path path_key media_type size_bytes:i digest_algorithm digest_primary
    digest_sha256 content_address annotations state replaced_by created_at:i last_event_sequence:i`,
  storage_locations: `*storage_location_id file_id package_id backend_id object_key content_address size_bytes:i status
    retrieval_tier restore_status stored_at:i last_verified_at:i deleted_at:i last_event_sequence:i`,
  retention_state: `*package_id retention_class default_expires_at:i current_expires_at:i active_hold_id hold_reason
    eligible_for_deletion:f eligible_at:i last_event_sequence:i`,
  package_signatures: `*package_id *key_id payload_type manifest_digest signature created_at:i last_event_sequence:i`,
  shares: `*share_id direction status package_id file_id peer name media_type size_bytes:i content_address
    client_message_id created_at:i expires_at:i last_event_sequence:i`,
}

export const viewTables: readonly ViewTable[] = viewNames.map((name) => {
  const words = written[name].split(/\s+/)
  return {
    name,
    key: words.filter((word) => word.startsWith('*')).map((word) => word.slice(1)),
    columns: words.map(toColumn),
  }
})

function toColumn(word: string): Column {
  const [name = '', kind = 't'] = word.replace('*', '').split(':')
  return { name, kind: kind as Column['kind'] }
}
