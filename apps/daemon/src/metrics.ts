/**
 * The metrics of the daemon, declared once: base units, closed label sets. All of them are read when somebody asks;
 * nothing is counted by a timer, so that a daemon at rest is at rest.
 */
import type { ErrorCode } from '@claudemesh/protocol'
import { Counter, Registry } from 'prom-client'
import { type HealthSources, listConditions } from './health-report.ts'
import { declareHooks } from './hook-metrics.ts'
import type { RouteCounts } from './ipc/route-counts.ts'
import { declare, declareTotal, type Reading } from './metric-forms.ts'
import type { Sinks } from './sinks/sinks.ts'

export interface MetricSources extends HealthSources {
  readonly routeCounts: RouteCounts
  readonly inflight: () => { readonly unix: number; readonly tcp: number }
  readonly eventStreams: () => number
  readonly logLinesDropped: () => number
  /** Requests of hooks that asked for more than their token is for. */
  readonly hookRequestsRefused: () => number
}

export class Metrics {
  readonly #registry = new Registry()
  readonly #problems: Counter<'code'>

  constructor(sources: MetricSources) {
    this.#problems = new Counter({
      name: 'cm_daemon_problems_total',
      help: 'Requests answered with an error, by its code',
      labelNames: ['code'],
      registers: [this.#registry],
    })
    declareProcess(this.#registry, sources)
    declareQueues(this.#registry, sources)
    declareShares(this.#registry, sources)
    declareLink(this.#registry, sources)
    declareIpc(this.#registry, sources)
    declareDisk(this.#registry, sources)
    declareSpaces(this.#registry, sources)
    declareSinks(this.#registry, sources)
    declareHooks(this.#registry, sources)
  }

  countProblem(code: ErrorCode): void {
    this.#problems.inc({ code })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async text(): Promise<string> {
    return this.#registry.metrics()
  }
}

const bytesPerKibibyte = 1024
const microsecondsPerSecond = 1_000_000
const msPerSecond = 1000

function declareProcess(registry: Registry, sources: MetricSources): void {
  const { version, startedAt } = sources
  declare(registry, { name: 'info', help: 'Version', labels: ['version'], read: () => [[{ version }, 1]] })
  declare(registry, {
    name: 'start_time_seconds',
    help: 'When the daemon started, since the epoch',
    read: () => startedAt / msPerSecond,
  })
  declare(registry, {
    name: 'resident_memory_bytes',
    help: 'Resident memory of the process',
    read: () => process.memoryUsage.rss(),
  })
  declare(registry, {
    name: 'resident_memory_max_bytes',
    help: 'Highest resident memory so far',
    read: () => process.resourceUsage().maxRSS * bytesPerKibibyte,
  })
  declareTotal(registry, {
    name: 'cpu_seconds',
    help: 'Processor time used',
    read: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / microsecondsPerSecond
    },
  })
  declareTotal(registry, {
    name: 'log_lines_dropped',
    help: 'Lines that could not be written to the log',
    read: sources.logLinesDropped,
  })
  declare(registry, {
    name: 'condition',
    help: 'Health conditions that hold, by code and severity',
    labels: ['code', 'severity'],
    read: () => listConditions(sources).map(({ code, severity }) => [{ code, severity }, 1]),
  })
}

function declareQueues(registry: Registry, sources: MetricSources): void {
  const { outbox, inbox, members, skipped, receiver, queues, runtime, maxAgeHours } = sources
  declare(registry, {
    name: 'outbox_rows',
    help: 'Rows of the outbox by status',
    labels: ['status'],
    read: () => Object.entries(outbox.counts()).map(([status, rows]) => [{ status }, rows]),
  })
  declare(registry, {
    name: 'outbox_oldest_pending_seconds',
    help: 'How long the oldest pending row has waited; 0 when none waits',
    read: () => {
      const oldest = outbox.oldestPendingAt()
      return oldest === null ? 0 : Math.max(0, runtime.now() - oldest) / msPerSecond
    },
  })
  declare(registry, {
    name: 'outbox_max_age_seconds',
    help: 'How long a row may wait before it is given up',
    read: () => maxAgeHours() * 3600,
  })
  declare(registry, { name: 'inbox_messages', help: 'Messages in the inbox', read: () => inbox.counts().messages })
  declare(registry, { name: 'inbox_unread', help: 'Unread messages in the inbox', read: () => inbox.counts().unread })
  declareTotal(registry, {
    name: 'messages_unopened',
    help: 'Messages stored since the start that could not be opened, by reason',
    labels: ['reason'],
    read: () => [...receiver.unopened].map(([reason, count]) => [{ reason }, count]),
  })
  declareTotal(registry, {
    name: 'queue_messages_undecryptable',
    help: 'Messages of work queues taken since the start that could not be opened and went back, by reason',
    labels: ['reason'],
    read: () => [...queues.undecryptable].map(([reason, count]) => [{ reason }, count]),
  })
  declareTotal(registry, {
    name: 'members_ignored',
    help: 'Member records of the broker that did not prove themselves since the start, by reason',
    labels: ['reason'],
    read: () => [...members.ignored()].map(([reason, count]) => [{ reason }, count]),
  })
  declareTotal(registry, {
    name: 'revocation_lists_ignored',
    help: 'Revocation lists of the broker that did not prove themselves since the start, by reason',
    labels: ['reason'],
    read: () => [...members.revocations.ignored].map(([reason, count]) => [{ reason }, count]),
  })
  declareTotal(registry, {
    name: 'recipients_skipped',
    help: 'Subscribers that a message to a topic was not sealed for since the start, by reason; once per message',
    labels: ['reason'],
    read: () => Object.entries(skipped.totals).map(([reason, count]) => [{ reason }, count]),
  })
}

function declareShares(registry: Registry, { sharing }: MetricSources): void {
  declareTotal(registry, {
    name: 'shares',
    help: 'Shares since the start, by what became of them here',
    labels: ['result'],
    read: () => Object.entries(sharing.totals()).map(([result, count]) => [{ result }, count]),
  })
}

function declareLink(registry: Registry, { link }: MetricSources): void {
  declare(registry, {
    name: 'link_connected',
    help: '1 when the daemon is connected to the broker',
    read: () => (link.status().connected ? 1 : 0),
  })
  declare(registry, {
    name: 'link_round_trip_seconds',
    help: 'Last measured round trip to the broker; NaN when there is none',
    read: () => {
      const { round_trip_ms: roundTripMs } = link.status()
      return roundTripMs === null ? Number.NaN : roundTripMs / msPerSecond
    },
  })
  declareTotal(registry, {
    name: 'link_malformed_frames',
    help: 'Frames of the broker that made no sense',
    read: () => link.status().malformed_frames,
  })
}

function declareIpc(registry: Registry, sources: MetricSources): void {
  const { routeCounts, inflight, eventStreams } = sources
  declareTotal(registry, {
    name: 'http_requests',
    help: 'Requests answered since the start, by route and class of status',
    labels: ['route', 'status'],
    read: () => [...routeCounts].map(({ route, status, count }) => [{ route, status }, count]),
  })
  declare(registry, {
    name: 'http_inflight',
    help: 'Requests being worked on, by transport',
    labels: ['transport'],
    read: () => Object.entries(inflight()).map(([transport, count]) => [{ transport }, count]),
  })
  declare(registry, { name: 'event_streams', help: 'Open event streams', read: eventStreams })
}

function declareDisk(registry: Registry, { disk }: MetricSources): void {
  declare(registry, {
    name: 'disk_used_bytes',
    help: 'Bytes that the daemon occupies on disk',
    read: () => disk.latest.usedBytes,
  })
  declare(registry, {
    name: 'disk_available_bytes',
    help: 'Bytes that can still be written',
    read: () => disk.latest.availableBytes,
  })
}

function declareSpaces(registry: Registry, { spaces }: MetricSources): void {
  declare(registry, {
    name: 'spaces_leases',
    help: 'Spaces that this daemon appends to now',
    read: () => spaces.leases,
  })
  declareTotal(registry, {
    name: 'decisions_appended',
    help: 'Decisions acknowledged since the start; a repeated intent counts again',
    read: () => spaces.appended,
  })
}

function declareSinks(registry: Registry, { sinks }: MetricSources): void {
  const each = (read: (summary: Sinks['summaries'][number]) => number) => (): Reading =>
    sinks.summaries.map((summary) => [{ sink: summary.name }, read(summary)])
  const labels = ['sink']
  declare(registry, {
    name: 'sink_rows_behind',
    help: 'Rows that a sink has not exported yet, at most; NaN when the history cannot tell',
    labels,
    read: each(({ behind }) => behind()),
  })
  declare(registry, {
    name: 'sink_failing_partitions',
    help: 'Partitions that a sink could not export and tries again',
    labels,
    read: each(({ failing }) => failing),
  })
  declare(registry, {
    name: 'sink_stopped',
    help: '1 when a sink exports nothing until it is reset',
    labels,
    read: each(({ stopped }) => (stopped === null ? 0 : 1)),
  })
  declareTotal(registry, {
    name: 'sink_rows_exported',
    help: 'Rows that a sink has exported since it was made',
    labels,
    read: each(({ rows }) => rows),
  })
  declareTotal(registry, {
    name: 'sink_rows_lost',
    help: 'Rows that retention deleted before a sink had exported them',
    labels,
    read: each(({ lost }) => lost),
  })
}
