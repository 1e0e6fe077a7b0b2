/** The part of the catalogue of errors that the record of everything sent and received answers with (08 §1). */
export const historyErrors = {
  history_damaged: {
    status: 500,
    retryable: false,
    title: 'The files of the history are damaged',
    hint: 'Put the directory that is named back from a copy, or move it away: what comes is recorded anew.',
  },
  compaction_running: {
    status: 409,
    retryable: true,
    title: 'The partition is being compacted already',
    hint: 'Wait until it is done; nothing else has to happen.',
  },
} as const
