// The reference receiver over the ledger that is named, until it is ended; prints where it listens.
import { SinkServer } from '@claudemesh/sinks'

const [ledger, port] = process.argv.slice(2)
const o = { host: '127.0.0.1', port: Number(port), token: null, signatureKey: null, now: Date.now }
const server = await SinkServer.open({ ledger, ...o })
console.log(server.url)
