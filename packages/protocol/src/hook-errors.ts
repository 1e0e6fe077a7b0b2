/** The part of the catalogue of errors that hooks answer with (03 §4). */
export const hookErrors = {
  hook_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such hook',
    hint: 'List those that are configured with `claudemesh daemon hooks list`.',
  },
  hook_not_runnable: {
    status: 409,
    retryable: false,
    title: 'The hook cannot run',
    hint: 'Mend what `detail` names; then `claudemesh daemon hooks test` tries it.',
  },
  capability_missing: {
    status: 403,
    retryable: false,
    title: 'The token of a hook is not for this',
    hint: 'Name what the hook may do in `capabilities` of its section in hooks.toml: reply:event, dm:send:<sender> or topic:<name>:post.',
  },
  pre_send_refused: {
    status: 403,
    retryable: false,
    title: 'The hook pre-send does not let this message out',
    hint: 'Change the message, or the hook; `claudemesh daemon hooks list` shows what it wrote.',
  },
  pre_send_unavailable: {
    status: 503,
    retryable: true,
    title: 'The hook pre-send could not be asked, so nothing is sent',
    hint: 'See `claudemesh daemon hooks list`; without its section in hooks.toml, sends are not asked about.',
  },
} as const
