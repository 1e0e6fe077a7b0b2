/** The bounds of spaces and of what is decided in them, as limits.ts has those of everything else. */

/** Decisions of one page where the caller does not say, and characters of them: a page ends early rather than grow. */
export const decisionsPageDefault = 100
export const decisionsPageCharactersMax = 4 * 1024 * 1024
/** The part of the time of a shutdown in which what is under way ends and leases are given up. */
export const spacesCloseMsMax = 1_500
/** How long it is not tried again to open a repository that could not be opened. */
export const spacesReopenMs = 1_000

/** How long an append to a shared space waits for whoever may do it. */
export const decideWaitMsMax = 30_000
/** How often who waits looks again, beside what is told to it. */
export const decideLookMs = 500
/** After so long without a word an intent is sent to the same holder again. */
export const decideRepeatMs = 5_000
/** How long one follower is given to send decisions that were asked for, and all of them together. */
export const decideAskMs = 1_500
export const decideCatchUpMsMax = 10_000
/** Appends that become one message. */
export const decideBatchMax = 64
/** A lease is renewed at this part of its term. */
export const decideRenewalsPerTerm = 3
/** How often it is looked whether another process has decided something. */
export const decisionsLookMs = 1_000
/** So long after a branch moved no other one has moved at the same time, as the clocks of file systems tell it. */
export const decisionsSettledMs = 1_000
