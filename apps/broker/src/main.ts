/** The broker as a process, and what others may ask about it. */
import { createRequire } from 'node:module'
import { Broker } from './broker.ts'
import { type BrokerConfig, loadConfig } from './config.ts'
import { DataDirectory } from './data-directory.ts'
import { shutdownMsMax } from './limits.ts'
import { openLog } from './log.ts'
import { systemRuntime } from './runtime.ts'
import { SqliteStore } from './store/sqlite/sqlite-store.ts'

export { backUpBroker } from './backup.ts'
export type { BrokerConfig, BrokerOptions } from './config.ts'
export { type BrokerEndpoint, readBrokerEndpoint } from './data-directory.ts'
export { type BrokerStatus, brokerStatus } from './status.ts'

/** Of sysexits: the disk failed. */
const exitInputOutput = 74

/**
 * Runs a broker until SIGTERM, SIGINT, its idle time, or the end of its disk, and prints one line when it listens.
 *
 * @param overrides what the caller decides; the rest comes from the environment
 * @returns the exit code
 * @throws MeshError when it does not come up: `already_running`, `config_invalid`, `start_failed`, `database_corrupt` …
 */
export async function runBroker(overrides: Partial<BrokerConfig> = {}): Promise<number> {
  const config = loadConfig(process.env, overrides)
  const directory = DataDirectory.acquire(config.data)
  try {
    return await runIn(directory, config)
  } finally {
    directory.release()
  }
}

async function runIn(directory: DataDirectory, config: BrokerConfig): Promise<number> {
  const runtime = systemRuntime()
  const logFile = openLog({ path: directory.paths.log, level: config.logLevel })
  const store = SqliteStore.open({ path: directory.paths.database, runtime })
  try {
    const broker = await Broker.open({ config, store, runtime, log: logFile.log, version: readVersion() })
    // Without a certificate the signal keeps its meaning: the terminal is gone.
    if (config.tls !== null) process.on('SIGHUP', () => broker.reloadCertificate())
    directory.publish({ url: broker.url, startedAt: runtime.now() })
    process.stdout.write(`broker listening on ${broker.url}\n`)
    const code = await waitForEnd(broker, config)
    // A peer or a disk that hangs must not keep the process from ending; whatever was answered is on the disk.
    setTimeout(() => process.exit(code), shutdownMsMax).unref()
    await broker.close()
    return code
  } finally {
    await store.close()
    logFile.flush()
  }
}

/** Resolves with the exit code once there is a reason to stop. */
function waitForEnd(broker: Broker, { idleExitMs }: BrokerConfig): Promise<number> {
  return new Promise((resolve) => {
    const idle = idleExitMs === null ? null : watchIdle(broker, idleExitMs, () => end(0))
    const stop = () => end(0)
    const end = (code: number) => {
      if (idle !== null) clearInterval(idle)
      process.off('SIGTERM', stop)
      process.off('SIGINT', stop)
      resolve(code)
    }
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
    broker.failed.then(() => end(exitInputOutput))
  })
}

function watchIdle(broker: Broker, idleExitMs: number, leave: () => void): NodeJS.Timeout {
  return setInterval(
    () => {
      if (broker.idleMs >= idleExitMs) leave()
    },
    Math.min(1_000, Math.max(10, idleExitMs)),
  )
}

function readVersion(): string {
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string }
  return version
}
