import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'

/**
 * A validator that is compiled when it is first asked for. A process reads the frames of one direction and uses a few of
 * the requests; compiling all of them costs every start time and memory that is never given back.
 */
export function compileLater(schema: TSchema): () => Validator {
  let validator: Validator | null = null
  return () => {
    validator ??= Compile(schema)
    return validator
  }
}
