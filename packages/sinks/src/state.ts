/** What other packages may do with the state of sinks while none of them runs. */
export { restoreSinks, snapshotSinks } from './restored-state.ts'
export { type ExportedPartition, listExported, listSinks, listStateFaults } from './state-files.ts'
