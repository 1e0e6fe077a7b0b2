export { signInviteCertificate, signMemberCertificate, verifyCertificate } from './certificate.ts'
export {
  type Admission,
  type ChainFault,
  type ChainVerdict,
  clockToleranceMs,
  countRotations,
  judgeVerifiedChain,
  type VerifiedMember,
  verifyChain,
  verifyChainInTurns,
} from './chain.ts'
export { findRevocation, type Revocation } from './find-revocation.ts'
export { foundMesh } from './founding.ts'
export { type HelloClaims, helloBytes, NonceRegistry, originOf, signHello, verifyHello } from './hello.ts'
export {
  type AcceptedHost,
  acceptHost,
  type HostBasis,
  type HostFingerprint,
  readAcceptedHost,
  readHostFingerprint,
} from './host-fingerprint.ts'
export type { HostSources } from './host-sources.ts'
export { acceptInvite, createInvite, decodeInviteToken, encodeInviteToken, type InvitePayload } from './invite.ts'
export {
  type ArchivedKey,
  archiveKey,
  boxKeyId,
  type KeyArchive,
  keyGraceDaysDefault,
  keyGraceDaysMax,
  openKeyArchive,
  pruneKeyArchive,
} from './key-archive.ts'
export { readKeyFile, writeKeyFile } from './key-file.ts'
export {
  type BoxKeyPair,
  exportSeed,
  generateBoxKeyPair,
  generateMemberKeys,
  generateSigningKeyPair,
  importBoxKeyPair,
  importSigningKeyPair,
  type MemberKeys,
  type SigningKeyPair,
  sign,
  verifySignature,
} from './keys.ts'
export { type MeshFile, readMeshFile, writeMeshFile } from './mesh-file.ts'
export { signMeshRecord, verifyMeshRecord } from './mesh-record.ts'
export {
  mergeRevocations,
  type RevocationChanges,
  type RevocationFault,
  type RevocationVerdict,
  signRevocationList,
  type UnsignedRevocationList,
  verifyRevocationList,
} from './revocation.ts'
export { rotateMember } from './rotation.ts'
export { beginRotation, finishRotation, type Rotated, type RotationPaths } from './rotation-intent.ts'
