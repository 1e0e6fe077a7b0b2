import { setTimeout as delay } from 'node:timers/promises'
import type { IpcServer } from '../ipc/server.ts'
import { settleRequestsMsMax } from '../limits.ts'

/** New requests get 503, those that wait are answered with what is proven by now, the others may finish. */
export async function settleRequests(ipc: IpcServer, stopping: AbortController): Promise<void> {
  ipc.refuse()
  stopping.abort()
  const patience = new AbortController()
  const over = delay(settleRequestsMsMax, undefined, { signal: patience.signal }).catch(() => undefined)
  await Promise.race([ipc.settled(), over])
  patience.abort()
}
