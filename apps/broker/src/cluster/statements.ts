/** The SQL that nodes find each other with. */
export const channel = 'claudemesh_notes'

export const statements = {
  /** A node that is cut off is noticed by the server, and its lead given to another. Notes are worth no fsync. */
  settings: `SET synchronous_commit = off; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;
             SET tcp_keepalives_count = 3`,
  listen: `LISTEN ${channel}`,
  notify: `SELECT pg_notify('${channel}', payload) FROM unnest($1::text[]) AS payload`,
  /** The key is ours alone: the first bytes of a digest of "claudemesh jobs". */
  tryLead: 'SELECT pg_try_advisory_lock(2713859046125793) AS leads',
  ping: 'SELECT 1',
} as const
