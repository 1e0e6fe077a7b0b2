import type { Note } from './note.ts'

export interface ClusterEvents {
  /** What another node has told. */
  readonly receive: (note: Note) => void
  /** What was told for some time may not have arrived: whoever waits for something looks for it. */
  readonly missed: () => void
}

/** The nodes over one database, as one of them sees the others. */
export interface Cluster {
  /** Whether the work that is one node's at a time is this one's. */
  readonly isLeader: boolean
  /** Tells the other nodes, soon; never throws and never waits. */
  publish(note: Note): void
  /** Begins to listen, and resolves when it does or is to try again by itself. */
  start(events: ClusterEvents): Promise<void>
  /** Sends what waits, as far as that goes, and leaves the lead to others. */
  close(): Promise<void>
}

/** The one node of an embedded database. */
export function soleNode(): Cluster {
  return {
    isLeader: true,
    publish: () => undefined,
    start: async () => undefined,
    close: async () => undefined,
  }
}
