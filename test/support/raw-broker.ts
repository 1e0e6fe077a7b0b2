/** A broker in this process, over a real database file and real sockets. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { RateLimit } from '../../apps/broker/src/accept/rate-limit.ts'
import { Broker } from '../../apps/broker/src/broker.ts'
import { soleNode } from '../../apps/broker/src/cluster/cluster.ts'
import { type BrokerConfig, loadConfig } from '../../apps/broker/src/config.ts'
import { rateWindowMs } from '../../apps/broker/src/limits.ts'
import { type Log, silentLog } from '../../apps/broker/src/log.ts'
import { type Runtime, systemRuntime } from '../../apps/broker/src/runtime.ts'
import { SqliteStore } from '../../apps/broker/src/store/sqlite/sqlite-store.ts'
import { scratchDirectory } from './scratch-directory.ts'

export interface RawBroker {
  readonly url: string
  /** `http://host:port` */
  readonly httpUrl: string
  readonly data: string
  readonly broker: Broker
  close(): Promise<void>
}

/** Starts a broker; it ends with the test, or before. */
export async function startBroker(
  overrides: Partial<BrokerConfig> = {},
  runtime: Runtime = systemRuntime(),
  log: Log = silentLog(),
): Promise<RawBroker> {
  const data = overrides.data ?? join(scratchDirectory(), 'broker')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const config = loadConfig({}, { port: 0, logLevel: 'silent', ...overrides, data })
  const store = SqliteStore.open({ path: join(data, 'broker.db'), runtime })
  const rates = new RateLimit({ ...config.rate, windowMs: rateWindowMs, now: () => runtime.monotonicMs() })
  const broker = await Broker.open({
    config,
    store,
    cluster: soleNode(),
    rates,
    runtime,
    log,
    version: '0.0.0',
  })
  let closing: Promise<void> | null = null
  const close = () => {
    closing ??= broker.close().then(() => store.close())
    return closing
  }
  onTestFinished(close)
  const { origin } = new URL(broker.url.replace(/^ws/, 'http'))
  return { url: broker.url, httpUrl: origin, data, broker, close }
}
