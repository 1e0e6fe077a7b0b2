/** The part of the catalogue of errors that exports of the history answer with (08). */
export const sinkErrors = {
  sink_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such sink',
    hint: 'List those that are configured with `claudemesh sink list`.',
  },
  sink_exists: {
    status: 409,
    retryable: false,
    title: 'There is a sink of this name',
    hint: 'Choose another name, or remove the sink first.',
  },
  sink_stopped: {
    status: 409,
    retryable: false,
    title: 'How far the sink has exported is not known any more, so it exports nothing',
    hint: 'Find out what its destination has, then `claudemesh sink reset`, with `--from-destination` or `--to`.',
  },
  sink_unavailable: {
    status: 503,
    retryable: true,
    title: 'The destination of the sink does not take rows at the moment',
    hint: 'Nothing is lost: the same rows are exported again later.',
  },
  sink_refused: {
    status: 502,
    retryable: false,
    title: 'The destination of the sink refused rows',
    hint: 'See what it answered, and correct its address, its credentials or the receiver.',
  },
  sink_conflict: {
    status: 409,
    retryable: false,
    title: 'Under the name of an export there is something else at the destination',
    hint: 'Give each daemon a directory or prefix of its own, then `claudemesh sink run`.',
  },
  sink_not_listable: {
    status: 409,
    retryable: false,
    title: 'The destination cannot say what it has',
    hint: 'Use `claudemesh sink reset --to` with the seq of the last row that it has.',
  },
} as const
