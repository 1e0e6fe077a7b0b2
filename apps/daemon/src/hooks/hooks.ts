/**
 * The hooks of a daemon (03 §4): executables in its directory that events fire, each as hooks.toml says.
 *
 * 1. What hooks.toml does not name does not run; a hooks.toml that cannot be used changes nothing.
 * 2. What a hook does is its result: nothing of it is an error of the daemon.
 * 3. Where hooks are off, or none is configured, nothing listens, nothing is read, and no send waits.
 */
import { MeshError } from '@claudemesh/protocol'
import type { HookList, HookRunView, HookTestAnswer } from '@claudemesh/protocol/hooks'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import type { Events, NewEvent } from '../events/events.ts'
import type { Log } from '../log.ts'
import { Delivery } from './delivery.ts'
import { type GiveOptions, giveEvent } from './give.ts'
import { type HookConfig, readHooksFile } from './hooks-file.ts'
import { endLeftBehind } from './left-behind.ts'
import { Pool } from './pool.ts'
import { askPreSend, type OutgoingSend } from './pre-send.ts'
import { readReply } from './reply.ts'
import { type Execution, HookRunner, type RunnerOptions } from './runner.ts'
import { sampleEvent } from './samples.ts'
import type { Sandboxes } from './sandboxes.ts'
import { executedEvent, HookTally, toRunView } from './tally.ts'
import { preSendName, triggerOf } from './triggers.ts'
import { toHookView } from './views.ts'

export interface HooksOptions extends RunnerOptions, Pick<GiveOptions, 'complete' | 'accept'> {
  readonly name: string
  readonly enabled: () => boolean
  readonly events: Pick<Events, 'after' | 'append' | 'bounds' | 'cursor' | 'forgetSources' | 'subscribe'>
  /** Where hooks present their tokens; open while one of them has any. */
  readonly door: { open(): Promise<void>; close(): Promise<void> }
  readonly log: Log
}

/** A hook that hooks.toml names. */
export interface ConfiguredHook {
  config: HookConfig
  /** Why the sandbox that it asks for does not work here; null: it does, or it is not known yet. */
  sandboxFault: string | null
  readonly tally: HookTally
  /** Null for `pre-send`, which no event fires. */
  readonly delivery: Delivery | null
}

export class Hooks {
  readonly #o: HooksOptions
  readonly #runner: HookRunner
  readonly #sandboxes: Sandboxes
  readonly #pool = new Pool(() => this.#wake())
  readonly #stopping = new AbortController()
  readonly #hooks = new Map<string, ConfiguredHook>()
  #isStarted = false
  #hasEndedLeftBehind = false
  #first = 0
  #turn: NodeJS.Immediate | null = null
  #unsubscribe: () => void = () => undefined

  constructor(o: HooksOptions) {
    this.#o = o
    this.#runner = new HookRunner(o)
    this.#sandboxes = o.sandboxes
  }

  /**
   * Reads hooks.toml and takes it over. A hook that is here for the first time begins with what happens from now on.
   *
   * @throws MeshError config_invalid | unsafe_permissions, and what the disk refuses
   */
  async load(): Promise<void> {
    const { directory, enabled, events, door } = this.#o
    if (enabled()) ensurePrivateDirectory(directory)
    const configs = enabled() ? await readHooksFile(`${directory}/hooks.toml`) : []
    const names = configs.map(({ name }) => name)
    if (names.length > 0) this.#endLeftBehind()
    for (const [name, { delivery }] of this.#hooks) {
      if (names.includes(name)) continue
      this.#hooks.delete(name)
      await delivery?.stop()
    }
    events.forgetSources('hook:', names)
    for (const config of configs) this.#take(config)
    this.#pool.reserve(this.#hooks.has(preSendName))
    if (configs.some(({ capabilities }) => capabilities.length > 0)) await door.open()
    else await door.close()
    this.#sandboxes.forget()
    for (const hook of this.#hooks.values()) void this.#lookAtSandbox(hook)
    if (this.#isStarted) this.#open()
  }

  /** Gives what waits to its hooks from now on. */
  start(): void {
    this.#isStarted = true
    this.#open()
    this.#tell({ type: 'daemon_start', data: {} })
  }

  /** Ends what runs: its events come again at the next start. */
  async stop(): Promise<void> {
    this.#isStarted = false
    this.#unsubscribe()
    if (this.#turn !== null) clearImmediate(this.#turn)
    this.#stopping.abort()
    await Promise.all([...this.#hooks.values()].map(({ delivery }) => delivery?.stop()))
    await this.#o.door.close()
  }

  /** Null: there is none, and no send waits for it. */
  get preSend(): ((send: OutgoingSend) => Promise<void>) | null {
    const hook = this.#hooks.get(preSendName)
    return hook === undefined ? null : (send) => this.#askPreSend(hook, send)
  }

  /** Processes of hooks now. */
  get running(): number {
    return this.#pool.running
  }

  /** Those that are configured, by name. */
  get configured(): ReadonlyMap<string, ConfiguredHook> {
    return this.#hooks
  }

  /** Why a hook cannot run, or its events wait; null: neither. */
  waitsFor({ config, sandboxFault, delivery }: ConfiguredHook): string | null {
    return delivery?.waitsFor ?? this.#runner.findFault(config) ?? (config.sandboxRequired ? sandboxFault : null)
  }

  list(): HookList {
    const hooks = [...this.#hooks.values()].map((hook) => {
      const { config, tally, delivery, sandboxFault } = hook
      const { running = 0, behind = 0 } = delivery ?? {}
      return toHookView(config, { tally, sandboxFault, running, behind, waitsFor: this.waitsFor(hook) })
    })
    return { enabled: this.#o.enabled(), directory: this.#o.directory, hooks }
  }

  /**
   * Runs a hook for an event that did not happen. It has no capabilities, and what it answers is shown and not sent.
   *
   * @throws MeshError hook_unknown | hook_not_runnable
   */
  async test(name: string): Promise<HookTestAnswer> {
    const hook = this.#hooks.get(name)
    if (hook === undefined) {
      const isOff = !this.#o.enabled()
      const detail = isOff ? 'hooks are off: [hooks] enabled' : `hooks.toml has no section [${name}]`
      throw new MeshError('hook_unknown', { detail })
    }
    const { runtime, memberId, mesh } = this.#o
    const event = sampleEvent(name, { at: runtime.now(), self: { id: memberId, name: this.#o.name } })
    const input = { hook: name, event: event.type, event_id: null, at: event.at, mesh, data: event.data }
    await this.#pool.enter()
    try {
      const options = { input, subject: null, signal: this.#stopping.signal }
      const execution = await this.#runner.execute(hook.config, options)
      if (execution.kind === 'cannot') throw new MeshError('hook_not_runnable', { detail: execution.reason })
      const { end } = execution
      const run = toRunView(execution, { hook: name, eventType: event.type, eventId: null, reply: 'none' })
      return { run, stdout: end.stdout, stderr: end.stderr, reply: hook.config.allowReply ? readReply(end) : null }
    } finally {
      this.#pool.leave()
    }
  }

  /** Before the first process of this one: it could not be told from what a daemon that was killed has left. */
  #endLeftBehind(): void {
    if (this.#hasEndedLeftBehind) return
    this.#hasEndedLeftBehind = true
    const ended = endLeftBehind(this.#o.daemonDirectory)
    if (ended > 0) this.#o.log.warn({ processes: ended }, 'hooks_left_behind_ended')
  }

  #take(config: HookConfig): void {
    const known = this.#hooks.get(config.name)
    if (known !== undefined) {
      known.config = config
      return
    }
    const tally = new HookTally()
    this.#hooks.set(config.name, { config, sandboxFault: null, tally, delivery: this.#deliveryOf(config, tally) })
  }

  #deliveryOf({ name }: HookConfig, tally: HookTally): Delivery | null {
    const trigger = triggerOf(name)
    if (trigger === null) return null
    const { events, memberId, log } = this.#o
    const config = () => this.#configOf(name)
    const onEnded = (run: HookRunView, stderr: string) => {
      tally.note(run, stderr)
      log.info({ ...run }, 'hook_executed')
    }
    return new Delivery({
      ...{ hook: name, trigger, events, log, selfId: memberId, pool: this.#pool },
      parallel: () => config().parallel,
      deliver: (stored, signal) =>
        giveEvent(config(), { stored, signal }, { ...this.#o, runner: this.#runner, onEnded }),
      onMissed: (count) => {
        tally.missed += count
        log.warn({ hook: name, events: count }, 'hook_events_missed')
      },
    })
  }

  #configOf(name: string): HookConfig {
    const hook = this.#hooks.get(name)
    if (hook === undefined) throw new Error(`the hook ${name} runs and is not configured`)
    return hook.config
  }

  async #lookAtSandbox(hook: ConfiguredHook): Promise<void> {
    const { name, sandbox } = hook.config
    hook.sandboxFault = sandbox === 'none' ? null : await this.#sandboxes.findFault(sandbox)
    if (hook.sandboxFault === null) return
    this.#o.log.warn({ hook: name, sandbox, reason: hook.sandboxFault }, 'hook_sandbox_unavailable')
  }

  async #askPreSend(hook: ConfiguredHook, send: OutgoingSend): Promise<void> {
    const { mesh, runtime, log } = this.#o
    const onEnded = (execution: Extract<Execution, { kind: 'ended' }>) => {
      const run = toRunView(execution, { hook: preSendName, eventType: 'send', eventId: null, reply: 'none' })
      hook.tally.note(run, execution.end.stderr)
      log.info({ ...run }, 'hook_executed')
      this.#tell(executedEvent(run))
    }
    const { now } = runtime
    const shared = { runner: this.#runner, pool: this.#pool, signal: this.#stopping.signal }
    await askPreSend(send, { ...shared, config: () => hook.config, mesh, now, onEnded })
  }

  #open(): void {
    this.#unsubscribe()
    const deliveries = [...this.#hooks.values()].flatMap(({ delivery }) => (delivery === null ? [] : [delivery]))
    this.#unsubscribe = deliveries.length === 0 ? () => undefined : this.#o.events.subscribe(() => this.#wakeSoon())
    for (const delivery of deliveries) delivery.start()
  }

  /** In a turn of its own: whoever stored an event has nothing to do with what comes of it. */
  #wakeSoon(): void {
    this.#turn ??= setImmediate(() => this.#wake())
  }

  /** Each time another one comes first, so that one with much to do leaves room for the others. */
  #wake(): void {
    this.#turn = null
    const hooks = [...this.#hooks.values()]
    this.#first = (this.#first + 1) % Math.max(1, hooks.length)
    for (const { delivery } of [...hooks.slice(this.#first), ...hooks.slice(0, this.#first)]) delivery?.wake()
  }

  #tell(event: NewEvent): void {
    try {
      this.#o.events.append([event])
    } catch (error) {
      // The log says the same.
      if (!(error instanceof MeshError)) throw error
      this.#o.log.error({ type: event.type, err: error }, 'event_not_stored')
    }
  }
}
