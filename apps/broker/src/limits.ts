/** Every bound of the broker: queues, batches, waits, sizes. What an operator may change is in config.ts instead. */
import assert from 'node:assert/strict'
import { limits as wire } from '@claudemesh/protocol'

// ---- sockets -------------------------------------------------------------------------------------------------------

/** Connections at once; further ones are answered 503 before the WebSocket begins. */
export const connectionsMax = 20_000
/** Connections that have not finished hello and negotiation, at once. */
export const handshakesMax = 4_096
/** From the upgrade to the end of the negotiation. */
export const handshakeMsMax = wire.nonceLifeMs
/** Handshakes that one address may begin at once beyond those that were let in; they grow again at the pace below. */
export const handshakeBurst = 256
export const handshakesPerSecond = 8
/** New certificates that are verified for what one handshake costs: two signatures each, a quarter of a millisecond. */
export const certificatesPerHandshake = 32
/** Addresses whose handshakes are counted at once. */
export const handshakeAddressesMax = 65_536
/** Frames that are not well-formed before the connection is closed. */
export const invalidFramesMax = 3
/** Sends of one connection that are not answered yet. Beyond it the broker reads no further from that socket. */
export const inflightMessagesMax = 2_048
/** Bytes of sealed messages in them. */
export const inflightBytesMax = 8 * 1024 * 1024
/** Correlated requests of one connection that are not answered yet. */
export const inflightRequestsMax = 64
/** Bytes written for a connection and not yet taken by the network: pushing waits above it. */
export const outgoingBytesHigh = 1024 * 1024
/** A connection that reaches this is closed at once; events and answers may not pile up for a peer that does not read. */
export const outgoingBytesMax = 16 * 1024 * 1024
/** How often silent and slow connections are looked for. */
export const watchIntervalMs = 1_000
/** From the close frame to the end of the TCP connection. */
export const closeMsMax = 2_000

// ---- spaces --------------------------------------------------------------------------------------------------------

/** By how much the clocks of brokers over one database may differ. */
export const clockSkewMsMax = 2_000

// ---- accepting -----------------------------------------------------------------------------------------------------

/** Messages in one accept transaction. About 30 µs each, so that one never blocks for more than 50 ms. */
export const acceptItemsMax = 1_024
/** Units of work in one SQLite transaction. */
export const worksPerCommitMax = 256
/** The rate limiter counts messages in windows of this length. */
export const rateWindowMs = 1_000

// ---- PostgreSQL ------------------------------------------------------------------------------------------------------

/** Connections of one broker for statements. */
export const databaseConnectionsMax = 8
/** From asking for a connection to having one. */
export const databaseConnectMsMax = 10_000
/** After which a connection that nobody uses is closed. */
export const databaseIdleMsMax = 60_000
/** Of one statement, and of a transaction between two of them. */
export const databaseStatementMsMax = 30_000
/** Runs of one transaction that others get in the way of. */
export const databaseTransactionsMax = 10
/** Bytes of sealed messages in one accept transaction; the first one goes in whatever its size. */
export const acceptBytesMax = 16 * 1024 * 1024

// ---- several nodes -------------------------------------------------------------------------------------------------

/** Notes to other nodes that wait to be sent; further ones are dropped, and who misses one looks by itself. */
export const notesMax = 20_000
/** Of one NOTIFY; PostgreSQL takes 7999. */
export const noteBytesMax = 7_900
/** From losing the connection to the others to making another. */
export const clusterRetryMsMin = 50
export const clusterRetryMsMax = 5_000
/** How often a node looks whether the lead is free, or its connection still stands; and how long it waits for the answer. */
export const clusterLookIntervalMs = 1_000
export const clusterAnswerMsMax = 5_000
/** How often members without a connection, and nodes that are silent, are looked for. */
export const absenceIntervalMs = 1_000
/** Ended windows of the rate limiter: how often they are forgotten, and how many rows at once. */
export const rateForgetIntervalMs = 1_000
export const rateForgetRowsMax = 5_000

// ---- delivering ----------------------------------------------------------------------------------------------------

/** Deliveries of one connection that are pushed and not acknowledged. */
export const unacknowledgedItemsMax = 2_048
/** Bytes of sealed messages in them. */
export const unacknowledgedBytesMax = 8 * 1024 * 1024
/** Bytes of sealed messages in one frame: their base64 and 256 headers stay within the frame. */
export const deliverBytesMax = 560 * 1024

// ---- work queues ---------------------------------------------------------------------------------------------------

/** How often a call that waits for work looks by itself, whether it is woken or not. */
export const queueLookIntervalMs = 5_000
/** Messages that were held back and are due, among which a take looks for the first ones. */
export const dueHeldMax = 256
/** Calls of one member that wait for work at once: others of its connection have room beside them. */
export const queueWaitsPerMemberMax = inflightRequestsMax / 2
/** How often messages are looked for whose last lease is over. */
export const queueLeasesIntervalMs = 1_000
/** Queues in one page: each is counted out. */
export const queuesPerPageMax = 16

// ---- jobs ----------------------------------------------------------------------------------------------------------

/** Rows that one step of a job touches before accepting gets its turn again. */
export const jobRowsMax = 200
/** The check for rows that contradict each other: how often it goes on, and how long it rests after a pass. */
export const inspectionIntervalMs = 1_000
export const inspectionRestMs = 3_600_000
/** What it works at each interval, in steps of about this length: it looks at as many rows as this machine takes for it. */
export const inspectionWorkMs = 50
export const inspectionStepMs = 10
export const inspectionRowsMin = 32
/** However fast it was: the next rows may have to come from a slow disk. */
export const inspectionRowsMax = 256
/** Findings that are remembered, so that each is logged once; further ones are neither logged nor counted. */
export const inspectionFindingsMax = 10_000
/** Rows that the doctor looks at in one step, from a process of its own. */
export const examinationRowsMax = 1_024
/** Rows of one kind that the doctor names; it counts the others. */
export const inspectionFindingsShown = 100

// ---- relay for sealed blobs ------------------------------------------------------------------------------------------

/** From now to the end of a blob. */
export const blobLifeMsMax = 366 * 86_400_000
/** Blobs of one mesh, of whatever size. */
export const blobsMax = 50_000
/** Uploads of one member that are not complete. */
export const openUploadsMax = 64
/** After which an upload that nobody asked for again is dropped. */
export const uploadIdleMsMax = 86_400_000
/** For so long after its end a blob is told apart from one that never was. */
export const expiredBlobMsMax = 30 * 86_400_000
/** How long a ticket lets in. */
export const ticketLifeMs = 10 * 60_000
/** Transfers at once: each has a megabyte or two in memory, and an open file. */
export const transferLimits = {
  upload: { ofMember: 8, ofBroker: 64 },
  download: { ofMember: 16, ofBroker: 256 },
} as const
/** For so long nobody deletes what a broker publishes; it says again that it does at a third of it. */
export const publishLeaseMs = 10 * 60_000
/** How often a transfer is looked at, and the bytes that must have moved since; fewer end it. */
export const transferWatchMs = 30_000
export const transferBytesMin = 16 * 1024
/** For so long what a client still sends is read after it was refused, so that it gets to see why. */
export const refusedBodyMsMax = 2_000
/** Blobs that one step of a job ends: each is several statements. */
export const blobJobRowsMax = 32

// ---- members that go ------------------------------------------------------------------------------------------------

/** Rows that are dropped in the transaction in which members go; jobs drop the others. */
export const departureRowsMax = 500
/** How often ended leases, and members that are gone and still awaited by something, are looked for. */
export const departureIntervalMs = 1_000

// ---- service -------------------------------------------------------------------------------------------------------

/** From the signal to the exit. */
export const shutdownMsMax = 5_000

assert(
  deliverBytesMax * (4 / 3) + wire.itemsPerFrameMax * 1_000 <= wire.frameBytesMax,
  'a deliver frame fits its bound',
)
assert(unacknowledgedBytesMax >= deliverBytesMax, 'the window holds at least one frame')

// ---- log -----------------------------------------------------------------------------------------------------------

/** Of one file of the embedded broker's log. */
export const logFileBytesMax = 8 * 1024 * 1024
/** Old ones beside it. */
export const logFilesKept = 3
