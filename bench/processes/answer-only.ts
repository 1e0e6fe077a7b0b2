/** The limit of accepting: the same framework, the same schemas, the same answer, and nothing is stored. */
import { createIdSource, sendQuerySchema, sendRequestSchema, sendResponseSchema } from '@claudemesh/protocol'
import { fastify } from 'fastify'

const [socketPath] = process.argv.slice(2)
if (socketPath === undefined) throw new Error('the path of the socket is missing')

const nextId = createIdSource(() => Date.now())
const app = fastify()
app.post(
  '/v1/send',
  { schema: { body: sendRequestSchema, querystring: sendQuerySchema, response: { 202: sendResponseSchema } } },
  async (_request, reply) => {
    const id = nextId()
    return reply.code(202).send({ status: 'queued', state: 'queued', client_message_id: id, outbox_id: id })
  },
)
await app.listen({ path: socketPath })
process.send?.('listening')
