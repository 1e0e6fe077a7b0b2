import { Pool } from '@claudemesh/storage/postgres'
import {
  databaseConnectionsMax,
  databaseConnectMsMax,
  databaseIdleMsMax,
  databaseStatementMsMax,
  databaseTransactionsMax,
} from '../../limits.ts'
import { connectionSettings } from './statements.ts'

/**
 * The connections of one broker to its database.
 *
 * @param url where it is, with user and password: `postgres://…`
 */
export function openPool(url: string): Pool {
  return new Pool({
    url,
    applicationName: 'claudemesh-broker',
    settings: connectionSettings,
    connectionsMax: databaseConnectionsMax,
    connectMsMax: databaseConnectMsMax,
    idleMsMax: databaseIdleMsMax,
    statementMsMax: databaseStatementMsMax,
    attemptsMax: databaseTransactionsMax,
  })
}
