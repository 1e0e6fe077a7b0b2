import { copyDatabase } from '@claudemesh/storage'
import { dataPaths } from './data-directory.ts'

/**
 * Copies the database of the embedded engine, whether its broker runs or not. The copy, put as `broker.db` into an empty
 * directory, is a broker as of that instant.
 *
 * @throws MeshError as `copyDatabase` does
 */
export function backUpBroker(options: { readonly data: string; readonly out: string }): void {
  copyDatabase(dataPaths(options.data).database, options.out)
}
