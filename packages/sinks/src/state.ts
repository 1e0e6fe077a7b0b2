/** What other packages may do with the state of sinks while none of them runs. */
export { type ExportedPartition, listExported, listSinks, listStateFaults } from './state-files.ts'
