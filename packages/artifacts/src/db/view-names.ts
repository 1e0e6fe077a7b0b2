/** The tables that are functions of the log, in the order in which they are filled and dumped (06 §6). */
export const viewNames = [
  'artifact_packages',
  'artifact_files',
  'storage_locations',
  'retention_state',
  'package_signatures',
  'shares',
] as const

export type ViewName = (typeof viewNames)[number]
