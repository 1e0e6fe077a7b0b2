/** Every bound of the daemon: queues, batches, waits, retries, sizes. One section per part. */
import { limits as wire } from '@claudemesh/protocol'

// ---- ipc -----------------------------------------------------------------------------------------------------------

/** Bytes of one request body. */
export const requestBodyBytesMax = 1024 * 1024
/** Bytes of a request's header block. */
export const requestHeaderBytesMax = 16 * 1024
/** Characters of one path parameter: a client_message_id of 255 characters, each percent-encoded. */
export const pathParameterCharactersMax = 1024
/** How long a client may take to send a whole request. */
export const requestTimeoutMs = 30_000
/** How long a client may send nothing of a body that is taken as bytes, however long all of it takes. */
export const rawBodyPauseMsMax = 30_000
/** How long a client that still sends a body which was refused gets to see that. */
export const refusedBodyMsMax = 2_000
/** How long an idle connection is kept for its next request. */
export const keepAliveTimeoutMs = 72_000
/** Connections beyond the requests in flight that a transport keeps open. */
export const idleConnectionsMax = 1024
/** Requests in one second over TCP before 429 rate_limited. */
export const tcpRequestsPerSecond = 1000
/** Event streams open at once, over both transports. */
export const eventStreamsMax = 32
/** Events read from the store and written to a stream in one step. */
export const eventStreamBatchMax = 64
/** A stream that does not take what was written for it for this long is closed. */
export const eventStreamDrainMsMax = 30_000
/** A comment line this often keeps proxies and readers from giving up on a quiet stream. */
export const eventStreamCommentMs = 15_000
/** What an event stream tells its reader to wait before it connects again. */
export const eventStreamRetryMs = 1_000
/** What Retry-After says on a 429 or 503 of the daemon itself. */
export const retryAfterSeconds = 1
/** Messages of one thread that are looked up and answered. */
export const threadMessagesMax = 500
/** How long a change of subscriptions or profile waits for the broker before it answers with the stored wish alone. */
export const brokerConfirmationMsMax = 2_000

// ---- lifecycle -----------------------------------------------------------------------------------------------------

/** Bytes of a Unix socket's path, without the closing zero byte. */
export const socketPathBytesMax = { linux: 107, other: 103 } as const
/** After the start, when members and topics have been read and the first messages are through. */
export const restAfterStartMs = 10_000
/** How often a service manager is told how the daemon is, at the least. */
export const supervisorBeatMsMax = 60_000
/** Within which the daemon answers itself, or says no word. */
export const supervisorAnswerMsMax = 10_000
/** From the signal to the exit: settling, checkpoint, close. */
export const shutdownMsMax = 5_000
/** The parts of it that an ephemeral member gets to let out what waits, and to say that it leaves. */
export const ephemeralDrainMsMax = 1_500
export const ephemeralLeaveMsMax = 1_000
/** The part of it that requests in flight get to be answered. */
export const settleRequestsMsMax = 1_500
/** How often rows past their retention are removed. */
export const housekeepingIntervalMs = 60_000
/** How often the disk is measured and the state of the database handles is read. */
export const diskWatchIntervalMs = 5_000
/** The local broker is not spawned more often than this. */
export const localBrokerSpawnIntervalMs = 2_000
/** After how many idle seconds the local broker leaves. */
export const localBrokerIdleExitSeconds = 60
/** Bytes of daemon.log before it is rotated, and rotated files kept. */
export const logFileBytesMax = 8 * 1024 * 1024
export const logFilesKept = 3
/** How long a stored event can be resumed from, and how many are kept at most. */
export const eventsRetentionMs = 7 * 24 * 3_600_000
export const eventsKeptMax = 100_000
/** Rows of inbox or events that one step of retention removes in one transaction. */
export const retentionRowsMax = 512

// ---- paced work ----------------------------------------------------------------------------------------------------

/** Retries: full jitter over a delay that doubles from the base to the cap. */
export const workBackoffMsBase = 500
export const workBackoffMsCap = 60_000

// ---- artifacts -----------------------------------------------------------------------------------------------------

/** How long the store of artifacts may take to say how it is. */
export const artifactsHealthMsMax = 1_000
/** How often packages are looked through for those past their expiry, and uploads for those nobody goes on with. */
export const artifactsUpkeepMs = 3_600_000
/** How often all stored bytes are listed for those to which nothing refers. */
export const artifactsCollectMs = 24 * 3_600_000
/** How long it rests after all stored bytes were read again. */
export const artifactsScrubMs = 24 * 3_600_000
/** Objects that are read again in one turn. */
export const scrubObjectsMax = 1_000
/** Events of the log in one page where the caller does not say. */
export const artifactEventsPageDefault = 100
/** The part of the time of a shutdown that what is under way in the store gets to end. */
export const artifactsCloseMsMax = 1_500
/** How long it is not tried again to open a store that could not be opened. */
export const artifactsReopenMs = 1_000

// ---- operate -------------------------------------------------------------------------------------------------------

/** How long a replaced local token is still good, and how many of them at once. */
export const replacedTokenMs = 60_000
export const replacedTokensMax = 8
/** Times that a revocation begins again because somebody else's came first. */
export const revocationAttemptsMax = 5
/** Times that the files of the identity are read for a backup until two readings are the same. */
export const backupReadsMax = 16
/** Rows that are dropped before the next are looked for. */
export const dropPageMax = 256

// ---- inbox, receive, publish ---------------------------------------------------------------------------------------

/** Characters of bodies in one page; a page ends early rather than grow beyond it. */
export const inboxPageCharactersMax = 8 * 1024 * 1024
/** Deliveries that are stored in one transaction. */
export const receiveBatchMax = 256
/** Deliveries and receipts that wait for their transaction. What does not fit is not acknowledged and comes again. */
export const receiveQueueMax = 4096
/** How long receiving rests after the disk refused a batch. */
export const receiveRetryMs = 1_000
/** How long reporting what was read rests after each batch, so that the next one is worth its commits. */
export const readReportPauseMs = 50
/** Retries of it: full jitter over a delay that doubles from the base to the cap. */
export const readReportBackoffMsBase = 500
export const readReportBackoffMsCap = 60_000
/** How long reports are kept at least, answered or not. */
export const readReportRetentionDaysMin = 30
/** Messages of one page of the broker's history while an inbox is filled again. */
export const refetchPageMax = 256
/** Rows that are turned into events in one transaction. */
export const publishBatchMax = 256
/** Characters of a body that travel inside a `message` event, and of its meta. */
export const eventBodyCharactersMax = 16 * 1024
/** Ids of events that one synced commit reserves. */
export const eventIdsReserved = 1_024
/** How long publishing rests after each batch, so that the next one is worth its commit. */
export const publishPauseMs = 20
/** How long publishing rests after the disk refused a batch. */
export const publishRetryMs = 1_000

// ---- sealing -------------------------------------------------------------------------------------------------------

/** Peers whose pairwise keys with one box key are kept; about 200 bytes each. */
export const pairwiseKeysMax = 8_192
/** How long a row waits for its recipients before they are asked for again; they wake it as soon as they are known. */
export const recipientsWaitMs = 15_000
/** How long no destination is asked for again after the broker failed to answer. */
export const recipientsRetryMs = 2_000
/** How long it is believed that there is no such recipient, or that a subscriber cannot be verified. */
export const recipientsAbsentMs = 60_000
/** How often it is looked for consumers of a work queue that has none while something waits for it. */
export const consumersLookMs = 5_000
/** How long rows wait for consumers of their queue that do not look themselves; they are woken when there are any. */
export const consumersWaitMs = 60_000
/** Destinations whose recipients are asked for at once. */
export const recipientAsksMax = 64
/** Destinations and members of which such a finding is kept. */
export const recipientFindingsMax = 4_096
/** How long deliveries of an unknown sender wait for the directory. */
export const senderLookUpMsMax = 10_000
/** Sealed messages that are tried again in one step. */
export const reopenBatchMax = 64

// ---- directory -----------------------------------------------------------------------------------------------------

/** Members or topics in one page of the broker's lists. */
export const directoryPageMax = 256
/** Pages of one list: a broker that never ends one is not followed for ever. */
export const directoryPagesMax = 1024
/** The lists are not read again for a member that they do not have more often than this. */
export const unknownMemberPauseMs = 60_000
/** Members that were looked for in vain and are remembered as such. */
export const unknownMembersMax = 1024
/** How long the keys of a member who has left still open messages that it sent before. */
export const goneKeysKeptMs = 90 * 24 * 3_600_000
/** Similar names in a hint. */
export const nearNamesMax = 5

// ---- link ----------------------------------------------------------------------------------------------------------

/** Reconnecting: full jitter over a delay that doubles from the base to the cap. */
export const linkBackoffMsBase = 500
export const linkBackoffMsCap = 60_000
/** A connection that was open this long was a good one: the next backoff begins at the base. */
export const linkStableMs = 1_000
/** How long after its start a link that was never open counts as connecting, and not as down. */
export const linkStartMsMax = 5_000
/** Coming back when another host uses the identity (05 §2): slower, and it always grows. */
export const conflictBackoffMsBase = 5_000
export const conflictBackoffMsCap = 5 * 60_000
/** A connection that was open this long without being displaced ends the conflict. */
export const conflictOverMs = 10 * 60_000
/** Each step of the handshake. */
export const handshakeStepMsMax = 10_000
/** How long a close may take before the socket is torn down. */
export const closeMsMax = 2_000
/** How long the broker may take to answer a request. */
export const linkRequestMsMax = 10_000
/** Requests that wait for an answer at once. */
export const linkRequestsMax = 256
/** Bytes that wait in the socket before sending is refused. */
export const linkBufferedBytesMax = 8 * 1024 * 1024
/** Malformed frames of one connection before it is closed with 1008. */
export const malformedFramesMax = 3

// ---- relay ---------------------------------------------------------------------------------------------------------

/** Connections to the broker for blobs at once. */
export const relayConnectionsMax = 8
export const relayConnectMsMax = 10_000
/** From the last byte sent to the answer: the broker may have to bring a large blob to a bucket first. */
export const relayAnswerMsMax = 120_000
/** Between two bytes of a blob that comes: then it goes on over another connection. */
export const relaySilenceMsMax = 30_000
/** Attempts of one transfer in a row that moved nothing. */
export const relayAttemptsMax = 10
export const relayBackoffMsBase = 250
export const relayBackoffMsCap = 15_000

// ---- work queues ---------------------------------------------------------------------------------------------------

/** Calls that wait for work at once; the rest of `linkRequestsMax` is for others. */
export const takesWaitingMax = 192
/** How long taken work is leased where the caller does not say. */
export const leaseMsDefault = 60_000
/** A message that cannot be opened here is held back so long for each time that it was taken. */
export const undecryptableDelayMs = 5_000
/** Queues in one page where the caller does not say. */
export const queuesPageDefault = 256

// ---- outbox and send -----------------------------------------------------------------------------------------------

/** Sends that share one transaction, unless configured otherwise. */
export const acceptBatchMaxDefault = 256
/** Retries: full jitter over a delay that doubles from the base to the cap. */
export const sendBackoffMsBase = 500
export const sendBackoffMsCap = 60_000
/** How long the sender rests after a round, for each row that was accepted meanwhile and at most. */
export const sendRestMsPerAccept = 4
export const sendRestMsMax = 100
/** Added to a hold of the sender, so that rows due at its end are due by the wall clock too, whatever the clocks round to. */
export const sendHoldSlackMs = 25
/** Rows that one transaction claims: what fits in one frame. */
export const claimRowsMax = 256
/** Sends in transmission at once, whatever a broker allows. */
export const inflightMessagesMax = 8_192
/** Rows whose waiting time is over that one claim makes ready. */
export const unparkRowsMax = 8_192
/**
 * How long `low` rows may be passed over for others before a share of each claim is kept for them: far enough below the
 * 60 s that 02 §5 promises that the share has its effect in time.
 */
export const lowPassedOverMsMax = 15_000
/** That share: one row in so many. */
export const lowShareOneIn = 4
/** How long the broker may take to answer one send. */
export const sendAnswerMsMax = 30_000
/** Times in a row that changed recipients are answered by sealing again at once; after that with a backoff. */
export const resealsAtOnceMax = 3
/** The sender looks at clock and ages at least this often while rows wait. */
export const sendSweepMs = 60_000
/** How long sending rests after the disk or the socket refused. */
export const sendRetryMs = 1_000
/** At the end of a process: how long answers to what was transmitted are waited for. */
export const sendDrainMsMax = 1_000
/** Rows that one sweep, one step of retention or one step of pruning changes in one transaction. */
export const sweepRowsMax = 512
/** Done rows lose their contents, and go altogether. */
export const doneContentsRetentionMs = 24 * 3_600_000
export const doneRetentionDaysMin = 30
/** Rows of one chain of requeues that are shown. */
export const chainRowsMax = 1_000
/** Bytes of a send item beside its sealed bytes: ids, destination, 64 mentions, and their JSON. */
export const sendItemOverheadBytesMax = 8 * 1024
/** Bytes of a message that still fit in one frame once sealed, whatever a broker allows inline. */
export const messageBytesMax =
  Math.floor(((wire.frameBytesMax - sendItemOverheadBytesMax) * 3) / 4) - wire.sealedOverheadBytesMax

// ---- shares --------------------------------------------------------------------------------------------------------

/** How long a share can be fetched where its sender does not say. */
export const shareLifeSecondsDefault = 7 * 24 * 3600
/** Shares that are looked at in one page, and offers that are taken in one round. */
export const sharesPerRound = 64
export const offersPerRound = 32
/** Blobs of one share that are sealed and uploaded at once. */
export const shareBlobsAtOnceMax = 4
/** A content of so many bytes is not fetched from its beginning again after a restart; a smaller one is. */
export const resumedContentBytesMin = 4 * 1024 * 1024
/** Files of a directory that is shared: those taken in at once, and those it may have. */
export const ingestFilesAtOnce = 64
export const sharedDirectoryFilesMax = 50_000
