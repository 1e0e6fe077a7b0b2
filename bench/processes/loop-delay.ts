/** Loaded into a process before its own code: writes down, again and again, how late its event loop was. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const { CLAUDEMESH_LOOP_DELAY_DIRECTORY: directory, CLAUDEMESH_LOOP_DELAY_MS: intervalMs } = process.env
const nanosecondsPerMs = 1e6
/** How often it looks; what it tells is as much longer. */
const resolutionMs = 20

if (directory !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  setInterval(() => {
    const path = join(directory, String(process.pid))
    const [p99, max] = [delays.percentile(99), delays.max].map((delay) =>
      Math.max(0, delay / nanosecondsPerMs - resolutionMs),
    )
    writeFileSync(`${path}.new`, JSON.stringify({ p99, max }))
    renameSync(`${path}.new`, path)
    delays.reset()
  }, Number(intervalMs)).unref()
}
