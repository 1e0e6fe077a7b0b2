/** Every bound of hooks. */

/** Processes of hooks at once. */
export const hooksAtOnceMax = 8
/** Of these, kept free for `pre-send` where there is one: hooks that take long must not hold up sends. */
export const preSendSlots = 2
/** Sends that wait for their `pre-send`. */
export const preSendsWaitingMax = 1_024
/** Bytes of the JSON on the standard input of a hook. */
export const documentBytesMax = 256 * 1024
/** Bytes of its standard output that are read; one that writes more has no reply. */
export const stdoutBytesMax = 64 * 1024
/** Bytes of its standard error that are kept of the last run. */
export const stderrBytesKept = 4 * 1024
/** How long a hook may run. */
export const timeoutSecondsDefault = 30
export const timeoutSecondsMax = 3_600
/** Between SIGTERM and SIGKILL. At the end of the daemon there is less time. */
export const killGraceMs = 2_000
export const stopGraceMs = 1_000
/** How long its output may stay open once its processes were killed: somebody else may hold it. */
export const outputGraceMs = 500
/** How long a capability token is good at the most; it ends with its hook. */
export const tokenLifeMs = 5 * 60_000
/** Requests of hooks that are answered at once. */
export const hookConnectionsMax = 64
/** Events that are read for a hook in one step. */
export const deliveryBatchMax = 64
/** Events that concern no hook may lie between the place that is kept and the place that was reached. */
export const placeLagMax = 256
/** How long a hook rests whose file cannot run, or whose run could not be recorded. */
export const hookRetryMs = 5_000
/** Runs in a row that fail before health says so. */
export const failuresTold = 3
/** How long it may take to find out whether a sandbox works here. */
export const sandboxProbeMsMax = 5_000
