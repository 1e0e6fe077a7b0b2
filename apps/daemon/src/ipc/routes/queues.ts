/** `POST /v1/queue/*`: work queues, which the brokers of this version do not carry. */
import { MeshError } from '@claudemesh/protocol'
import type { RouteFamily } from '../app.ts'

const operations = ['consume', 'ack', 'nack'] as const

export function queueRoutes(): RouteFamily {
  return (app) => {
    for (const operation of operations) {
      app.post(
        `/v1/queue/${operation}`,
        {
          schema: { tags: ['queues'], summary: 'Not carried by brokers of this version', body: {} },
        },
        async () => {
          throw new MeshError('destination_unsupported')
        },
      )
    }
  }
}
