/** The part of the protocol that is about the record of everything sent and received: requests and answers of its routes. */
export {
  type HistoryCompactRequest,
  type HistoryCompactResponse,
  type HistoryPage,
  type HistoryPruneResponse,
  type HistoryQueryParameters,
  type HistoryStats,
  historyCompactRequestSchema,
  historyCompactSchema,
  historyPageSchema,
  historyPruneSchema,
  historyQuerySchema,
  historyStatsSchema,
} from './ipc/history.ts'
