/** The tables of a broker that are looked at, and how each is walked. */

/** Where they stand: `main` in the embedded engine, `mesh` in PostgreSQL. */
export type Schema = 'main' | 'mesh'

export interface Table {
  /** Columns of a unique key, in whose order the table is walked. */
  readonly key: readonly string[]
  /** A key before every other. */
  readonly first: readonly (string | number)[]
  /** What else is shown of a row. */
  readonly shown: readonly string[]
}

export const tables = {
  mesh: { key: ['id'], first: [''], shown: ['slug'] },
  mesh_counter: { key: ['mesh_id'], first: [''], shown: ['last_history_id', 'last_delivery_id'] },
  topic_subscription: { key: ['mesh_id', 'topic', 'member_id'], first: ['', '', ''], shown: [] },
  queue: { key: ['mesh_id', 'name'], first: ['', ''], shown: ['consumers'] },
  queue_consumer: {
    key: ['mesh_id', 'queue', 'member_id', 'since_history_id'],
    first: ['', '', '', 0],
    shown: [],
  },
  client_message_dedupe: {
    key: ['mesh_id', 'sender', 'client_message_id'],
    first: ['', '', ''],
    shown: ['broker_message_id', 'history_id'],
  },
  topic_message: { key: ['id'], first: [''], shown: ['mesh_id', 'sender', 'client_message_id', 'history_id'] },
  message_queue: { key: ['id'], first: [''], shown: ['mesh_id', 'sender', 'client_message_id', 'history_id', 'state'] },
  message_history: { key: ['mesh_id', 'history_id'], first: ['', 0], shown: ['broker_message_id'] },
  delivery_queue: { key: ['mesh_id', 'recipient', 'delivery_id'], first: ['', '', 0], shown: ['broker_message_id'] },
  receipt: { key: ['mesh_id', 'member_id', 'delivery_id'], first: ['', '', 0], shown: ['broker_message_id'] },
  mention_index: { key: ['mesh_id', 'mentioned', 'broker_message_id'], first: ['', '', ''], shown: [] },
  blob: { key: ['mesh_id', 'address', 'sender'], first: ['', '', ''], shown: ['state'] },
  blob_object: { key: ['address'], first: [''], shown: ['refs'] },
  blob_usage: { key: ['mesh_id'], first: [''], shown: ['blobs', 'bytes'] },
} as const satisfies Readonly<Record<string, Table>>

export type TableName = keyof typeof tables
