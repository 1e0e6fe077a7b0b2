/** What other packages may use of the decisions. */
export { decisionLogCases } from './conformance/decision-log.ts'
export type { DecisionLogCase, DecisionLogSubject } from './conformance/scenario.ts'
export type { AppendOptions, DecisionLog, Head } from './decision-log.ts'
export {
  checkSpaceName,
  type DecisionDraft,
  type DecisionEvent,
  type DecisionKind,
  decodeEvent,
  encodeEvent,
} from './event.ts'
export { Fold, fold, foldLog } from './fold.ts'
export type { Elsewhere } from './git/append-socket.ts'
export { GitDecisionLog, type GitDecisionLogOptions } from './git/git-decision-log.ts'
export type { HeldLease, Lease, LeaseRecord } from './git/leases.ts'
export type { AppendPlan, PlannedAppend } from './git/plan-appends.ts'
export { diverged, type Place, type Proposal, type Proposals } from './git/proposals.ts'
export { findRepositoryFaults, type SalvagedSpace, salvageRepository } from './git/salvage.ts'
export { SharedDecisionLog, type SharedDecisionLogOptions } from './git/shared-decision-log.ts'
export { exportJsonl, type Imported, importJsonl } from './jsonl.ts'
export { MemoryDecisionLog } from './memory-decision-log.ts'
export { mergePatch } from './merge-patch.ts'
export { findNotes, overlaid, type Reasons, representativeOf, resolveName, stateAt, why } from './questions.ts'
export type { Runtime } from './runtime.ts'
export { type ActorLookUp, type DecisionVerdict, judgeSignature, signDraft } from './signature.ts'
export { decodeSnapshot, encodeSnapshot } from './snapshot.ts'
export { type OpenSpaceOptions, openSpace, Space } from './space.ts'
export { checkAppend } from './space-line.ts'
export { union } from './union.ts'
