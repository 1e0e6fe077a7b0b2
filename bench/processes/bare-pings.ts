/** Connections that ping as daemons do, each in its own time, and do nothing else. */
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { limits } from '@claudemesh/protocol'
import { WebSocket } from 'ws'

const [url = '', count = ''] = process.argv.slice(2)
const connections = Number(count)
/** So that the pings of all are spread over their interval. */
const spreadMs = limits.pingIntervalMs / connections

for (let index = 0; index < connections; index += 1) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  await once(socket, 'open')
  setInterval(() => socket.ping(), limits.pingIntervalMs)
  await pause(spreadMs)
}
process.send?.('ready')
