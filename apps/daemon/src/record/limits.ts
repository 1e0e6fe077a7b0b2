/** Every bound of the record of everything sent and received. */

/** Rows of one source that are recorded in one transaction of the history, and how long it rests before each. */
export const recordBatchMax = 128
export const recordPauseMs = 50
/** Batches after which the history is synced, so that the outbox can forget what is in it. */
export const recordBatchesUnsyncedMax = 64
/** How often the history is looked through for rows past their retention, and for space to be given back. */
export const historyUpkeepMs = 60_000
/** A partition is compacted when it holds more bytes of deleted rows than this, and more than of rows. */
export const historyWasteBytesMin = 16 * 1024 * 1024
