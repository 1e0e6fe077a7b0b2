export { appendLine } from './append-line.ts'
export { syncDirectory, writeFileAtomic, writeNewFile } from './atomic-file.ts'
export { copyDatabase } from './copy-database.ts'
export { crashPoint } from './crash-point.ts'
export {
  checkpoint,
  closeDatabase,
  libraryVersion,
  type OpenDatabaseOptions,
  openDatabase,
  synced,
} from './database.ts'
export { type DiskMeasurement, type DiskPressure, measureDisk } from './disk-space.ts'
export { listDamage, openForReading } from './examine.ts'
export { FileLock, isLocked } from './file-lock.ts'
export { GroupCommit, type GroupCommitOptions } from './group-commit.ts'
export { listDatabases } from './list-databases.ts'
export { LogFile } from './log-file.ts'
export { listMigrations, type MigrateOptions, type Migration, migrate, schemaVersion } from './migrate.ts'
export { assertPrivateFile, ensurePrivateDirectory, makeDirectory } from './private-path.ts'
export { RetentionClock } from './retention-clock.ts'
export { type SalvagedTable, salvageDatabase } from './salvage.ts'
export { openDraft, openScratch } from './scratch.ts'
export { readSecretReference } from './secret-reference.ts'
export { snapshotDatabase } from './snapshot.ts'
export { toStorageError } from './storage-error.ts'
export { type Database, immediate, isBroken, read, type Statement, spanning, type Tx } from './transaction.ts'
