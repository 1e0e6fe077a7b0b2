/** Brings up the broker that this home runs for itself, when the link finds nobody there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { homePaths } from '@claudemesh/protocol'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import { localBrokerIdleExitSeconds, localBrokerSpawnIntervalMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'

export interface LocalBrokerOptions {
  readonly home: string
  readonly url: string
  /** The program and first arguments that run the CLI. */
  readonly selfCommand: readonly string[]
  readonly runtime: Runtime
  readonly log: Log
}

/**
 * Spawns the broker detached, so that it outlives this daemon and serves the other meshes of the home. Of several that
 * are spawned at once the broker's own lock keeps one; it leaves by itself when nobody was connected for a while.
 */
export class LocalBroker {
  readonly #o: LocalBrokerOptions
  #child: ChildProcess | null = null
  #spawnedAt = -Infinity

  constructor(o: LocalBrokerOptions) {
    this.#o = o
  }

  /** Nothing happens while the last one still comes up or was spawned a moment ago. */
  ensure(): void {
    const { runtime, log, url } = this.#o
    if (this.#child !== null || runtime.monotonicMs() - this.#spawnedAt < localBrokerSpawnIntervalMs) return
    this.#spawnedAt = runtime.monotonicMs()
    try {
      this.#child = this.#spawn()
      log.info({ broker_pid: this.#child.pid, broker_url: url }, 'local_broker_spawned')
    } catch (error) {
      log.error({ err: error }, 'local_broker_spawn_failed')
    }
  }

  #spawn(): ChildProcess {
    const { home, url, selfCommand, log } = this.#o
    const data = homePaths(home).broker
    ensurePrivateDirectory(data)
    const [program = process.execPath, ...before] = selfCommand
    const idleExit = String(localBrokerIdleExitSeconds)
    const flags = ['--data', data, '--port', portOf(url), '--idle-exit', idleExit]
    const output = openSync(`${data}/broker.out`, 'a', 0o600)
    try {
      const child = spawn(program, [...before, 'broker', 'start', ...flags], {
        detached: true,
        stdio: ['ignore', output, output],
      })
      child.once('error', (error) => {
        this.#child = null
        log.error({ err: error }, 'local_broker_spawn_failed')
      })
      child.once('exit', (code) => {
        this.#child = null
        log.info({ exit_code: code }, 'local_broker_left')
      })
      child.unref()
      return child
    } finally {
      closeSync(output)
    }
  }
}

function portOf(brokerUrl: string): string {
  const url = new URL(brokerUrl)
  return url.port === '' ? (url.protocol === 'wss:' ? '443' : '80') : url.port
}
