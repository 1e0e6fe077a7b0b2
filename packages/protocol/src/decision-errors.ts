/** The part of the catalogue of errors that spaces and their logs of decisions answer with (07). */
export const decisionErrors = {
  invalid_space: {
    status: 400,
    retryable: false,
    title: 'The name of the space is not well-formed',
    hint: 'Use 1 to 64 of a-z, 0-9 and -, not beginning with -.',
  },
  space_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such space',
    hint: 'A space is there once something was decided in it.',
  },
  invalid_decision: {
    status: 400,
    retryable: false,
    title: 'The decision does not have the form of its kind',
    hint: 'Correct the place named in `path`; docs/spaces.md shows each kind.',
  },
  decision_kind_unknown: {
    status: 400,
    retryable: false,
    title: 'There is no such kind of decision',
    hint: 'Use one of overlay, binding, unbinding, alias, merge, fork, state, note.',
  },
  decision_too_large: {
    status: 413,
    retryable: false,
    title: 'The payload of the decision is larger than 256 KiB',
    hint: 'Store the content as an artifact and decide on its address.',
  },
  decision_inexact: {
    status: 400,
    retryable: false,
    title: 'The decision holds a value that JSON cannot carry exactly',
    hint: 'Use null, booleans, finite numbers other than -0, well-formed texts without U+0000, arrays and plain objects.',
  },
  decision_not_canonical: {
    status: 400,
    retryable: false,
    title: 'The bytes are not the one written form of a decision',
    hint: 'Write it by RFC 8785 in UTF-8, with one newline after it.',
  },
  intent_reused: {
    status: 409,
    retryable: false,
    title: 'The intent id already belongs to other decisions',
    hint: 'Use a new intent id for new decisions; repeat the same ones to get the first answer.',
  },
  head_moved: {
    status: 409,
    retryable: false,
    title: 'Something else was decided in the space meanwhile',
    hint: 'Read what is new, decide again, and expect the head that you have read.',
  },
  alias_cycle: {
    status: 409,
    retryable: false,
    title: 'The alias would lead back to itself',
    hint: 'Choose a target that does not resolve to this name.',
  },
  binding_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such binding in the space, or it was withdrawn already',
    hint: 'Use the event_id of a binding that holds.',
  },
  import_out_of_order: {
    status: 409,
    retryable: false,
    title: 'The imported decisions do not follow each other',
    hint: 'Import an export as it is, into an empty space or one that it continues; nothing was written.',
  },
  import_conflict: {
    status: 409,
    retryable: false,
    title: 'The space has another decision in the place of an imported one',
    hint: 'Compare the two logs from the place that is named; nothing was written.',
  },
} as const
