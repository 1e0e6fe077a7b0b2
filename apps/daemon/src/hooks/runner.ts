/** One run of a hook: its file looked at, its sandbox, what it reads, its token, and its process. */
import type { Runtime } from '../runtime.ts'
import type { Capabilities } from './capabilities.ts'
import { type HookInput, writeDocument } from './document.ts'
import { findFault } from './executable.ts'
import type { HookConfig } from './hooks-file.ts'
import { daemonVariable } from './left-behind.ts'
import { type ProcessEnd, runProcess } from './process.ts'
import { compileRedaction } from './redaction.ts'
import { type Confinement, enforcedBy, type SandboxKind, sandboxCommand } from './sandbox.ts'
import type { Sandboxes } from './sandboxes.ts'
import type { Subject } from './subject.ts'

/** Nothing of the daemon's environment reaches a hook, its PATH neither. */
const path = '/usr/local/bin:/usr/bin:/bin'

export interface RunnerOptions {
  /** Of the hooks. */
  readonly directory: string
  /** Of the daemon. */
  readonly daemonDirectory: string
  /** Of claudemesh. */
  readonly home: string
  readonly mesh: string
  readonly memberId: string
  readonly capabilities: Capabilities
  readonly sandboxes: Sandboxes
  /** That takes capability tokens; null: no hook has any. */
  readonly socket: () => string | null
  readonly runtime: Runtime
}

/** What became of an attempt to run a hook. */
export type Execution =
  | {
      readonly kind: 'ended'
      readonly run: string
      readonly startedAt: number
      readonly end: ProcessEnd
      /** Its input was cut. */
      readonly truncated: boolean
      readonly sandbox: SandboxKind
      /** What of the sandbox that it asked for did hold. */
      readonly enforced: readonly Confinement[]
      /** It ran without the sandbox that it asked for. */
      readonly isUnconfined: boolean
    }
  /** It did not run, through no fault of what it was to run for: it can be tried again. */
  | { readonly kind: 'cannot'; readonly reason: string }

export class HookRunner {
  readonly #o: RunnerOptions

  constructor(o: RunnerOptions) {
    this.#o = o
  }

  /** Why a hook cannot run as things are, or null. */
  findFault({ name }: HookConfig): string | null {
    return findFault(this.#o.directory, name)
  }

  /** @param subject what its token is for; null: it has none */
  async execute(
    config: HookConfig,
    o: { readonly input: HookInput; readonly subject: Subject | null; readonly signal: AbortSignal },
  ): Promise<Execution> {
    const { directory, home, sandboxes, runtime } = this.#o
    if (o.signal.aborted) return { kind: 'cannot', reason: 'the daemon stops' }
    const fault = this.findFault(config)
    if (fault !== null) return { kind: 'cannot', reason: fault }
    const sandboxFault = await sandboxes.findFault(config.sandbox)
    if (sandboxFault !== null && config.sandboxRequired) return { kind: 'cannot', reason: sandboxFault }
    const sandbox = sandboxFault === null ? config.sandbox : 'none'
    const document = writeDocument(o.input, await compileRedaction(config.redact))
    const run = runtime.nextId()
    const startedAt = runtime.now()
    const token = this.#issue(config, o.subject)
    const program = `${directory}/${config.name}`
    const place = { directory, home, socket: this.#o.socket() }
    const [command = program, ...args] = [...sandboxCommand(sandbox, place), program]
    try {
      const end = await runProcess({
        ...{ command, args, directory, input: document.json, timeoutMs: config.timeoutMs, signal: o.signal },
        environment: this.#environment(o.input, { run, token: token?.token ?? null }),
        monotonicMs: runtime.monotonicMs,
      })
      const ended = { kind: 'ended', run, startedAt, end, truncated: document.truncated } as const
      return { ...ended, sandbox: config.sandbox, enforced: enforcedBy[sandbox], isUnconfined: sandboxFault !== null }
    } catch (error) {
      return { kind: 'cannot', reason: startFault(program, error) }
    } finally {
      token?.revoke()
    }
  }

  #issue({ name, capabilities }: HookConfig, subject: Subject | null) {
    if (subject === null || capabilities.length === 0) return null
    return this.#o.capabilities.issue({ hook: name, subject, capabilities })
  }

  #environment(
    { hook, event, event_id: eventId }: HookInput,
    { run, token }: { readonly run: string; readonly token: string | null },
  ): Record<string, string> {
    const { daemonDirectory, mesh, memberId, socket } = this.#o
    const path = socket()
    return {
      ...hookEnvironment(daemonDirectory),
      CLAUDEMESH_MESH: mesh,
      CLAUDEMESH_MEMBER_ID: memberId,
      CLAUDEMESH_HOOK: hook,
      CLAUDEMESH_RUN: run,
      CLAUDEMESH_EVENT: event,
      ...(eventId === null ? {} : { CLAUDEMESH_EVENT_ID: eventId }),
      ...(token === null || path === null ? {} : { CLAUDEMESH_TOKEN: token, CLAUDEMESH_SOCKET: path }),
    }
  }
}

/** What every process of hooks has, whatever it runs for. */
export function hookEnvironment(daemonDirectory: string): Record<string, string> {
  return { PATH: path, [daemonVariable]: daemonDirectory }
}

/** Of what the system refused to start. */
function startFault(program: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined) throw error
  if (code === 'ENOENT') return `${program} names an interpreter in its first line that is not there`
  if (code === 'ENOEXEC') return `${program} is no program: a script begins with #! and its interpreter`
  return `${program} cannot be started: ${code}`
}
