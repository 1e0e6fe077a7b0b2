/** `/v1/artifacts/*`: packages of files, the log of what was done with them, and how long they are kept (06 §16). */
import { type Static, Type } from 'typebox'
import { ulidSchema } from './schemas.ts'

const bytesOrNull = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])

/** `degraded`: a place for bytes cannot be used. `down`: the store cannot be opened, or its database does not answer. */
export const artifactsHealthSchema = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded'), Type.Literal('down')]),
  registry: Type.Union([ulidSchema, Type.Null()]),
  database: Type.Object({
    engine: Type.Union([Type.Literal('sqlite'), Type.Literal('postgres')]),
    healthy: Type.Boolean(),
  }),
  backends: Type.Array(
    Type.Object({
      backend_id: Type.String(),
      healthy: Type.Boolean(),
      read_only: Type.Boolean(),
      free_bytes: bytesOrNull,
      total_bytes: bytesOrNull,
      detail: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
})

export type ArtifactsHealth = Static<typeof artifactsHealthSchema>
