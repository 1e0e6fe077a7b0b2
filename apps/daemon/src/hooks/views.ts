import type { HookView } from '@claudemesh/protocol/hooks'
import type { HookConfig } from './hooks-file.ts'
import { confinements, enforcedBy } from './sandbox.ts'
import type { HookTally } from './tally.ts'

/** A hook in the words of the wire. */
export function toHookView(
  config: HookConfig,
  o: {
    readonly tally: HookTally
    readonly sandboxFault: string | null
    readonly waitsFor: string | null
    readonly running: number
    readonly behind: number
  },
): HookView {
  const { tally, sandboxFault } = o
  const enforced = sandboxFault === null ? enforcedBy[config.sandbox] : []
  return {
    name: config.name,
    waits_for: o.waitsFor,
    timeout_seconds: config.timeoutMs / 1000,
    allow_reply: config.allowReply,
    capabilities: [...config.capabilities],
    redact: [...config.redact],
    parallel: config.parallel,
    sandbox: {
      kind: config.sandbox,
      required: config.sandboxRequired,
      fault: sandboxFault,
      enforced: [...enforced],
      not_enforced: confinements.filter((confinement) => !enforced.includes(confinement)),
    },
    running: o.running,
    behind: o.behind,
    missed: tally.missed,
    unconfined: tally.unconfined,
    runs: Object.fromEntries(tally.runs),
    last_run: tally.lastRun,
  }
}
