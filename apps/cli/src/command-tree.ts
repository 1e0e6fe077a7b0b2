/** Every command, by the words that call it. A command's file is loaded when it is called, or when help tells of it. */
import type { CommandDefinition, CommandEntry, Resolution } from './command.ts'

/** In the order in which help lists them. */
export const commandTree: readonly CommandEntry[] = [
  entry('init', async () => (await import('./commands/init.ts')).command),
  entry('mesh create', async () => (await import('./commands/mesh/create.ts')).command),
  entry('mesh list', async () => (await import('./commands/mesh/list.ts')).command),
  entry('mesh show', async () => (await import('./commands/mesh/show.ts')).command),
  entry('mesh root export', async () => (await import('./commands/mesh/root-export.ts')).command),
  entry('invite create', async () => (await import('./commands/invite/create.ts')).command),
  entry('invite list', async () => (await import('./commands/invite/list.ts')).command),
  entry('invite revoke', async () => (await import('./commands/invite/revoke.ts')).command),
  entry('join', async () => (await import('./commands/join.ts')).command),
  entry('whoami', async () => (await import('./commands/whoami.ts')).command),
  entry('peers', async () => (await import('./commands/peers.ts')).command),
  entry('member revoke', async () => (await import('./commands/member/revoke.ts')).command),
  entry('send', async () => (await import('./commands/send.ts')).command),
  entry('inbox', async () => (await import('./commands/inbox/list.ts')).command),
  entry('inbox read', async () => (await import('./commands/inbox/read.ts')).command),
  entry('inbox mark', async () => (await import('./commands/inbox/mark.ts')).command),
  entry('inbox thread', async () => (await import('./commands/inbox/thread.ts')).command),
  entry('tail', async () => (await import('./commands/tail.ts')).command),
  entry('topic subscribe', async () => (await import('./commands/topic/subscribe.ts')).command),
  entry('topic unsubscribe', async () => (await import('./commands/topic/unsubscribe.ts')).command),
  entry('topic list', async () => (await import('./commands/topic/list.ts')).command),
  entry('topic post', async () => (await import('./commands/topic/post.ts')).command),
  entry('queue consume', async () => (await import('./commands/queue/consume.ts')).command),
  entry('queue leave', async () => (await import('./commands/queue/leave.ts')).command),
  entry('queue list', async () => (await import('./commands/queue/list.ts')).command),
  entry('queue ack', async () => (await import('./commands/queue/ack.ts')).command),
  entry('queue nack', async () => (await import('./commands/queue/nack.ts')).command),
  entry('queue dead list', async () => (await import('./commands/queue/dead-list.ts')).command),
  entry('queue dead requeue', async () => (await import('./commands/queue/dead-requeue.ts')).command),
  entry('queue dead drop', async () => (await import('./commands/queue/dead-drop.ts')).command),
  entry('artifact version', async () => (await import('./commands/artifact/version.ts')).command),
  entry('artifact migrate', async () => (await import('./commands/artifact/migrate.ts')).command),
  entry('artifact health', async () => (await import('./commands/artifact/health.ts')).command),
  entry('artifact create', async () => (await import('./commands/artifact/create.ts')).command),
  entry('artifact add', async () => (await import('./commands/artifact/add.ts')).command),
  entry('artifact rm', async () => (await import('./commands/artifact/rm.ts')).command),
  entry('artifact finalize', async () => (await import('./commands/artifact/finalize.ts')).command),
  entry('artifact abort', async () => (await import('./commands/artifact/abort.ts')).command),
  entry('artifact push', async () => (await import('./commands/artifact/push.ts')).command),
  entry('artifact show', async () => (await import('./commands/artifact/show.ts')).command),
  entry('artifact list', async () => (await import('./commands/artifact/list.ts')).command),
  entry('artifact files', async () => (await import('./commands/artifact/files.ts')).command),
  entry('artifact manifest', async () => (await import('./commands/artifact/manifest.ts')).command),
  entry('artifact get', async () => (await import('./commands/artifact/get.ts')).command),
  entry('artifact pull', async () => (await import('./commands/artifact/pull.ts')).command),
  entry('artifact share', async () => (await import('./commands/artifact/share.ts')).command),
  entry('artifact shares', async () => (await import('./commands/artifact/shares.ts')).command),
  entry('artifact revoke', async () => (await import('./commands/artifact/revoke.ts')).command),
  entry('artifact verify', async () => (await import('./commands/artifact/verify.ts')).command),
  entry('artifact scrub', async () => (await import('./commands/artifact/scrub.ts')).command),
  entry('artifact gc', async () => (await import('./commands/artifact/gc.ts')).command),
  entry('artifact retention extend', async () => (await import('./commands/artifact/retention-extend.ts')).command),
  entry('artifact hold', async () => (await import('./commands/artifact/hold.ts')).command),
  entry('artifact release', async () => (await import('./commands/artifact/release.ts')).command),
  entry('artifact sweep', async () => (await import('./commands/artifact/sweep.ts')).command),
  entry('artifact replay', async () => (await import('./commands/artifact/replay.ts')).command),
  entry('artifact sign', async () => (await import('./commands/artifact/sign.ts')).command),
  entry('artifact verify-signature', async () => (await import('./commands/artifact/verify-signature.ts')).command),
  entry('artifact export-oci', async () => (await import('./commands/artifact/export-oci.ts')).command),
  entry('artifact import-oci', async () => (await import('./commands/artifact/import-oci.ts')).command),
  entry('artifact events', async () => (await import('./commands/artifact/events.ts')).command),
  entry('artifact stats', async () => (await import('./commands/artifact/stats.ts')).command),
  entry('decision create', async () => (await import('./commands/decision/create.ts')).command),
  entry('decision list', async () => (await import('./commands/decision/list.ts')).command),
  entry('decision append', async () => (await import('./commands/decision/append.ts')).command),
  entry('decision log', async () => (await import('./commands/decision/log.ts')).command),
  entry('decision show', async () => (await import('./commands/decision/show.ts')).command),
  entry('decision state', async () => (await import('./commands/decision/state.ts')).command),
  entry('decision why', async () => (await import('./commands/decision/why.ts')).command),
  entry('decision watch', async () => (await import('./commands/decision/watch.ts')).command),
  entry('decision lease', async () => (await import('./commands/decision/lease.ts')).command),
  entry('decision export', async () => (await import('./commands/decision/export.ts')).command),
  entry('decision import', async () => (await import('./commands/decision/import.ts')).command),
  entry('decision fsck', async () => (await import('./commands/decision/fsck.ts')).command),
  entry('decision push', async () => (await import('./commands/decision/push.ts')).command),
  entry('decision pull', async () => (await import('./commands/decision/pull.ts')).command),
  entry('install', async () => (await import('./commands/install.ts')).command),
  entry('uninstall', async () => (await import('./commands/uninstall.ts')).command),
  entry('mcp', async () => (await import('./commands/mcp.ts')).command),
  entry('completion', async () => (await import('./commands/completion.ts')).command),
  entry('doctor', async () => (await import('./commands/doctor.ts')).command),
  entry('history query', async () => (await import('./commands/history/query.ts')).command),
  entry('history stats', async () => (await import('./commands/history/stats.ts')).command),
  entry('history prune', async () => (await import('./commands/history/prune.ts')).command),
  entry('history compact', async () => (await import('./commands/history/compact.ts')).command),
  entry('sink add', async () => (await import('./commands/sink/add.ts')).command),
  entry('sink list', async () => (await import('./commands/sink/list.ts')).command),
  entry('sink status', async () => (await import('./commands/sink/status.ts')).command),
  entry('sink run', async () => (await import('./commands/sink/run.ts')).command),
  entry('sink pause', async () => (await import('./commands/sink/pause.ts')).command),
  entry('sink resume', async () => (await import('./commands/sink/resume.ts')).command),
  entry('sink reset', async () => (await import('./commands/sink/reset.ts')).command),
  entry('sink remove', async () => (await import('./commands/sink/remove.ts')).command),
  entry('sink-server', async () => (await import('./commands/sink-server.ts')).command),
  entry('daemon start', async () => (await import('./commands/daemon/start.ts')).command),
  entry('daemon stop', async () => (await import('./commands/daemon/stop.ts')).command),
  entry('daemon restart', async () => (await import('./commands/daemon/restart.ts')).command),
  entry('daemon status', async () => (await import('./commands/daemon/status.ts')).command),
  entry('daemon install-service', async () => (await import('./commands/daemon/install-service.ts')).command),
  entry('daemon uninstall-service', async () => (await import('./commands/daemon/uninstall-service.ts')).command),
  entry('daemon logs', async () => (await import('./commands/daemon/logs.ts')).command),
  entry('daemon hooks list', async () => (await import('./commands/daemon/hooks-list.ts')).command),
  entry('daemon hooks test', async () => (await import('./commands/daemon/hooks-test.ts')).command),
  entry('daemon config show', async () => (await import('./commands/daemon/config-show.ts')).command),
  entry('daemon rotate-keypair', async () => (await import('./commands/daemon/rotate-keypair.ts')).command),
  entry('daemon rotate-token', async () => (await import('./commands/daemon/rotate-token.ts')).command),
  entry('daemon accept-host', async () => (await import('./commands/daemon/accept-host.ts')).command),
  entry('daemon remint', async () => (await import('./commands/daemon/remint.ts')).command),
  entry('daemon reset', async () => (await import('./commands/daemon/reset.ts')).command),
  entry('daemon recover', async () => (await import('./commands/daemon/recover.ts')).command),
  entry('daemon backup', async () => (await import('./commands/daemon/backup.ts')).command),
  entry('daemon restore', async () => (await import('./commands/daemon/restore.ts')).command),
  entry('daemon outbox list', async () => (await import('./commands/outbox/list.ts')).command),
  entry('daemon outbox show', async () => (await import('./commands/outbox/show.ts')).command),
  entry('daemon outbox requeue', async () => (await import('./commands/outbox/requeue.ts')).command),
  entry('daemon outbox drop', async () => (await import('./commands/outbox/drop.ts')).command),
  entry('daemon outbox prune', async () => (await import('./commands/outbox/prune.ts')).command),
  entry('broker start', async () => (await import('./commands/broker/start.ts')).command),
  entry('broker status', async () => (await import('./commands/broker/status.ts')).command),
  entry('broker doctor', async () => (await import('./commands/broker/doctor.ts')).command),
  entry('broker backup', async () => (await import('./commands/broker/backup.ts')).command),
]

function entry(words: string, load: () => Promise<CommandDefinition>): CommandEntry {
  return { words: words.split(' '), load }
}

/** Options that may stand before the words of a command. */
const optionsWithValue = new Set(['--mesh'])
const optionsAlone = new Set(['--json', '--no-color'])
const helpOptions = new Set(['-h', '--help'])

/** Finds the command that the leading words of a command line call; `rest` is the line without those words. */
export function resolveCommand(argv: readonly string[]): Resolution {
  const line = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
  const words: string[] = []
  const rest: string[] = []
  let next: string | null = null
  let index = 0
  for (; index < line.length; index += 1) {
    const item = line[index] ?? ''
    if (optionsAlone.has(item) || helpOptions.has(item) || /^--mesh=/.test(item)) rest.push(item)
    else if (optionsWithValue.has(item)) rest.push(item, ...line.slice(++index, index + 1))
    else if (!item.startsWith('-') && leadsSomewhere([...words, item])) words.push(item)
    else {
      next = item
      break
    }
  }
  const found = commandTree.find((candidate) => candidate.words.join(' ') === words.join(' '))
  if (found !== undefined) return { kind: 'command', entry: found, rest: [...rest, ...line.slice(index)] }
  if (line.some((item) => helpOptions.has(item))) return { kind: 'help', group: words }
  if (next === null) return { kind: 'incomplete', group: words }
  return { kind: 'unknown', group: words, word: next, near: nearestWord(next, nextWords(words)) }
}

/** The commands below a group, or all of them. */
export function commandsOf(group: readonly string[]): readonly CommandEntry[] {
  return commandTree.filter(({ words }) => group.every((word, index) => words[index] === word))
}

function leadsSomewhere(words: readonly string[]): boolean {
  return commandsOf(words).length > 0
}

/** The words that go on from a group. */
export function nextWords(group: readonly string[]): readonly string[] {
  return [...new Set(commandsOf(group).flatMap(({ words }) => words.slice(group.length, group.length + 1)))]
}

/** The candidate within two typing errors, the nearest first, or null. */
export function nearestWord(word: string, candidates: readonly string[]): string | null {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ candidate, distance }) => distance <= 2 && distance < candidate.length)
    .sort((one, other) => one.distance - other.distance)
  return best?.candidate ?? null
}

/** Letters to insert, leave out, replace, or swap with their neighbour, until one word is the other. */
function editDistance(one: string, other: string): number {
  let beforeLast: readonly number[] = []
  let last: readonly number[] = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1]
      const swapped = one[row - 2] === other[column - 1] && one[row - 1] === other[column - 2]
      current.push(
        Math.min(
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          row > 1 && column > 1 && swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    beforeLast = last
    last = current
  }
  return last[other.length] ?? 0
}
