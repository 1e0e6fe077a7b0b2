/** What other packages may use of the artifacts. */
export { aboutStore } from './about.ts'
export { ArtifactError, type ArtifactErrorOptions } from './artifact-error.ts'
export type { AuditOptions } from './audit/audit.ts'
export { decodeCanonical, encodeCanonical } from './canon/cbor.ts'
export { canonicalizeJson, jcs, jcsToCbor } from './canon/jcs.ts'
export {
  type CanonicalLimits,
  type CanonicalMap,
  type CanonicalValue,
  manifestBytesMax,
  payloadBytesMax,
} from './canon/value.ts'
export { type Limits, limitsDefault } from './config/limits.ts'
export type { RegistryCase } from './conformance/registry/scenario.ts'
export { registryCases } from './conformance/registry.ts'
export { type ConformanceCase, storageBackendCases } from './conformance/storage-backend.ts'
export { InProcessDataPlane } from './dataplane/inproc/in-process-data-plane.ts'
export type {
  AppendOptions,
  DataPlane,
  IngestOptions,
  IngestResult,
  ServeOptions,
  UploadSoFar,
  VerifyOptions,
  VerifyResult,
} from './dataplane/spi.ts'
export { Spool } from './dataplane/spool/spool.ts'
export { type MigratedStore, type MigrateStoreOptions, migrateStore } from './db/migrate-store.ts'
export type { Event } from './events/event.ts'
export type { ReplayResult } from './events/replay.ts'
export type { TailOptions } from './events/tail.ts'
export type { ViewWriter } from './events/views/view-writer.ts'
export {
  type Algorithm,
  type AlgorithmName,
  getAlgorithm,
  listAlgorithms,
  registerAlgorithm,
} from './identity/algorithms.ts'
export { type Blake3Provider, blake3Provider } from './identity/blake3.ts'
export {
  type AddressFault,
  type ContentAddress,
  type Digest,
  digestEquals,
  formatContentAddress,
  makeDigest,
  parseContentAddress,
  toDigest,
} from './identity/content-address.ts'
export { type DigestPair, DualDigest, digestBytes, digestStream } from './identity/dual-digest.ts'
export type { Hasher } from './identity/hasher.ts'
export { contentRoot } from './manifest/content-root.ts'
export { decodeManifest, encodeManifest, jcsManifest, manifestDigest } from './manifest/manifest.ts'
export type { Manifest, ManifestFile, ManifestReceipt } from './manifest/manifest-schema.ts'
export { type ExportSource, type ExportTarget, exportLayout } from './oci/export-layout.ts'
export { isReservedAnnotation } from './oci/names.ts'
export { type PlanImportOptions, type PlannedFile, type PlannedPackage, planImport } from './oci/plan-import.ts'
export { openRegistry, type RegistryConfig } from './open.ts'
export { listTree } from './paths/list-tree.ts'
export { type PathConflict, PathSet } from './paths/path-conflicts.ts'
export { normalizeRelativePath, type PathPolicy, type RelativePath } from './paths/relative-path.ts'
export { type SalvagedStore, type SalvageStoreOptions, salvageStore } from './recovery/salvage-store.ts'
export type { BatchedChanges } from './registry/batch.ts'
export type { Finalized, FinalizeOptions } from './registry/finalize.ts'
export type { ImportedPackage, ImportOptions } from './registry/images/image-import.ts'
export type { ExistingFile, NewFile } from './registry/ingest/ingest.ts'
export type { FilePlace, IngestedFile } from './registry/ingest/placing.ts'
export type { Provenance } from './registry/input.ts'
export type { Package, PackageFile, PackageStatus, Retention } from './registry/package.ts'
export type { NewPackage } from './registry/packages.ts'
export type { Page, ServedFile } from './registry/reading.ts'
export type { Registry, RegistryHealth } from './registry/registry.ts'
export type { SignedPackage } from './registry/signatures/signatures.ts'
export type { PackageFilter } from './registry/statements.ts'
export type { Stats } from './registry/stats.ts'
export type { NewUpload, Upload } from './registry/uploads/upload.ts'
export type { Adopted } from './retention/adoption.ts'
export type { CollectedObject, Collection } from './retention/collection.ts'
export type { ScrubResult, VerifiedLocation } from './retention/verification.ts'
export type { Runtime } from './runtime.ts'
export { openBlob } from './seal/open-blob.ts'
export { type BlobSecret, newBlobSecret, type SealBlobOptions, sealBlob } from './seal/seal-blob.ts'
export { sealedSize } from './seal/stream.ts'
export type {
  IncomingShare,
  OfferedShare,
  OutgoingShare,
  SealedBlob,
  SealedContent,
  Share,
  SharedContent,
} from './shares/share.ts'
export type { AskedOnce, NewShare, Shares } from './shares/shares.ts'
export type { ShareFilter } from './shares/statements.ts'
export type { ShareDirection, ShareStatus } from './shares/states.ts'
export {
  type DsseEnvelope,
  type JudgedSignature,
  type KeyLookUp,
  type KeyStanding,
  manifestMediaType,
  type PayloadSignature,
  type SignatureVerdict,
  signManifest,
  verifyManifestEnvelope,
} from './sign/dsse.ts'
export { decodeEnvelope, encodeEnvelope } from './sign/envelope-json.ts'
export { hasObjects } from './storage/backends/local/list-objects.ts'
export { LocalBackend, type LocalBackendOptions } from './storage/backends/local/local-backend.ts'
export { S3Backend, type S3BackendOptions, type S3Config } from './storage/backends/s3/s3-backend.ts'
export { Backends } from './storage/backends.ts'
export type {
  BackendStatus,
  ByteRange,
  ListedObject,
  ObjectHead,
  PutOptions,
  StagedBlob,
  StageOptions,
  StorageBackend,
  StorageReceipt,
  StoredObject,
} from './storage/spi.ts'
