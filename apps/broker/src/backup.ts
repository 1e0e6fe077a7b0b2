import { existsSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { copyDatabase } from '@claudemesh/storage'
import { dataPaths } from './data-directory.ts'

/**
 * Copies the database of the embedded engine, whether its broker runs or not. The copy, put as `broker.db` into an empty
 * directory, is a broker as of that instant.
 *
 * @throws MeshError `invalid_usage` when there is no database, and as `copyDatabase` does
 */
export function backUpBroker(options: { readonly data: string; readonly out: string }): void {
  const { database } = dataPaths(options.data)
  if (!existsSync(database)) {
    throw new MeshError('invalid_usage', {
      detail: `there is no database of a broker in ${options.data}`,
      hint: 'Name its directory with --data.',
    })
  }
  copyDatabase(database, options.out)
}
