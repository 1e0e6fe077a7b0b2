import type { FastifyReply } from 'fastify'

/**
 * Answers with a value that has members of somebody's choice: the serialiser of a schema leaves out what that does not name,
 * and what its patterns do not take.
 */
export function answerAsIs(reply: FastifyReply, value: object): FastifyReply {
  return reply
    .type('application/json; charset=utf-8')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(value)
}
