/** What connections that keep alive cost with nothing of ours around them: a WebSocket server that answers pings. */
import { WebSocketServer } from 'ws'

const port = Number(process.argv[2])
new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false }).on('listening', () =>
  process.send?.('ready'),
)
