/** The broker as a process, and what others may ask about it. */
import { createRequire } from 'node:module'
import { RateLimit } from './accept/rate-limit.ts'
import { Broker, type BrokerDependencies } from './broker.ts'
import { soleNode } from './cluster/cluster.ts'
import { type BrokerConfig, loadConfig } from './config.ts'
import { DataDirectory } from './data-directory.ts'
import { rateWindowMs, shutdownMsMax } from './limits.ts'
import { type Log, openLog } from './log.ts'
import { type Runtime, systemRuntime } from './runtime.ts'
import { SqliteStore } from './store/sqlite/sqlite-store.ts'

export { backUpBroker } from './backup.ts'
export type { BrokerConfig, BrokerOptions } from './config.ts'
export { type BrokerEndpoint, readBrokerEndpoint } from './data-directory.ts'
export { examineBroker } from './doctor.ts'
export { type BrokerStatus, brokerStatus } from './status.ts'

/** Of sysexits: the disk failed. */
const exitInputOutput = 74

/**
 * Runs a broker until SIGTERM, SIGINT, its idle time, or the end of its disk, and prints one line when it listens.
 *
 * @param overrides what the caller decides; the rest comes from the environment
 * @returns the exit code
 * @throws MeshError when it does not come up: `already_running`, `config_invalid`, `start_failed`, `database_corrupt`,
 *   `storage_unavailable` …
 */
export async function runBroker(overrides: Partial<BrokerConfig> = {}): Promise<number> {
  const config = loadConfig(process.env, overrides)
  return config.databaseUrl === null ? runEmbedded(config) : runOnPostgres(config, config.databaseUrl)
}

/** One process over one directory. */
async function runEmbedded(config: BrokerConfig): Promise<number> {
  const runtime = systemRuntime()
  const directory = DataDirectory.acquire(config.data)
  try {
    const { paths } = directory
    const log = openLog({ path: paths.log, level: config.logLevel })
    const store = SqliteStore.open({ path: paths.database, runtime })
    const publish = (url: string) => directory.publish({ url, startedAt: runtime.now() })
    const rates = new RateLimit({ ...config.rate, windowMs: rateWindowMs, now: () => runtime.monotonicMs() })
    return await runOver({ store, cluster: soleNode(), rates }, { config, runtime, log, publish })
  } finally {
    directory.release()
  }
}

/**
 * One of any number of processes that keep nothing on this host: no directory, and the log is the standard error. What
 * speaks to PostgreSQL is loaded here: the embedded broker starts without it.
 */
async function runOnPostgres(config: BrokerConfig, url: string): Promise<number> {
  const { PostgresStore } = await import('./store/postgres/postgres-store.ts')
  const { PostgresCluster } = await import('./cluster/postgres-cluster.ts')
  const runtime = systemRuntime()
  const log = openLog({ path: null, level: config.logLevel })
  const store = await PostgresStore.open({ url, runtime })
  for (const risk of await store.listRisks()) log.warn(risk, 'database_not_durable')
  const cluster = new PostgresCluster({ url, lost: (error) => log.warn({ err: error }, 'other_nodes_lost') })
  const rates = store.limitRates({ ...config.rate, windowMs: rateWindowMs })
  return await runOver({ store, cluster, rates }, { config, runtime, log, publish: () => undefined })
}

async function runOver(
  engine: Pick<BrokerDependencies, 'store' | 'cluster' | 'rates'>,
  options: {
    readonly config: BrokerConfig
    readonly runtime: Runtime
    readonly log: Log
    /** Tells this host where the broker listens. */
    readonly publish: (url: string) => void
  },
): Promise<number> {
  const { config, runtime, log, publish } = options
  try {
    const broker = await Broker.open({ ...engine, config, runtime, log, version: readVersion() })
    // Without a certificate the signal keeps its meaning: the terminal is gone.
    if (config.tls !== null) process.on('SIGHUP', () => broker.reloadCertificate())
    publish(broker.url)
    process.stdout.write(`broker listening on ${broker.url}\n`)
    const code = await waitForEnd(broker, config)
    // A peer or a disk that hangs must not keep the process from ending; whatever was answered is on the disk.
    setTimeout(() => process.exit(code), shutdownMsMax).unref()
    await broker.close()
    return code
  } finally {
    await engine.store.close()
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
