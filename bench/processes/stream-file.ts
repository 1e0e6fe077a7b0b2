/** The limit of serving: the same framework streams the same bytes from a file, and checks nothing. */
import { createReadStream } from 'node:fs'
import { fastify } from 'fastify'

const [socketPath, path] = process.argv.slice(2)
if (socketPath === undefined || path === undefined) throw new Error('the path of the socket or of the file is missing')

const app = fastify()
app.get('/file', (_request, reply) => reply.send(createReadStream(path, { highWaterMark: 1024 * 1024 })))
await app.listen({ path: socketPath })
process.send?.('listening')
