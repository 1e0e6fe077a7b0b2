import type { HookList, HookView } from '@claudemesh/protocol/hooks'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'
import { formatDuration, formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'List the hooks: what each may do, why one does not run, and its last run',
  examples: [{ line: 'claudemesh daemon hooks list', describe: 'those that hooks.toml names' }],

  async run(invocation) {
    const list = await withDaemon(invocation, ({ hooks }) => hooks.list())
    invocation.terminal.print({ value: list, render: () => renderHooks(list) })
    return exitCodes.ok
  },
}

function renderHooks({ enabled, directory, hooks }: HookList): string[] {
  if (!enabled) return ['hooks are off ([hooks] enabled)', '  -> claudemesh daemon config show --effective']
  if (hooks.length === 0) return [`no hook is configured: ${directory}/hooks.toml names none`]
  return hooks.flatMap((hook) => renderHook(hook))
}

function renderHook(hook: HookView): string[] {
  const { runs, last_run: last, missed } = hook
  const counts = Object.entries(runs).map(([result, count]) => `${count} ${result}`)
  return [
    `${hook.name}: ${hook.waits_for === null ? 'ready' : 'waits'}, ${hook.running} running, ${counts.join(', ') || 'never ran'}`,
    ...(hook.waits_for === null ? [] : [`  ${oneLine(hook.waits_for)}`]),
    `  may ${mayDo(hook)}; ${confinementOf(hook)}`,
    ...(missed === 0 ? [] : [`  at most ${missed} events were removed before they came to it`]),
    ...(last === null
      ? []
      : [`  last run ${formatTime(last.started_at)}: ${endOf(last)}, ${formatDuration(last.duration_ms)}`]),
    ...(last === null ? [] : renderErrors(last.stderr)),
  ]
}

function mayDo({ allow_reply: allowReply, capabilities }: HookView): string {
  const all = [...(allowReply ? ['answer'] : []), ...capabilities]
  return all.length === 0 ? 'send nothing' : all.join(', ')
}

function confinementOf({ sandbox }: HookView): string {
  const { kind, fault, not_enforced: open } = sandbox
  if (fault !== null) return `no sandbox: ${oneLine(fault)}`
  return kind === 'none'
    ? 'no sandbox'
    : `in ${kind}${open.length === 0 ? '' : `, which leaves open: ${open.join(', ')}`}`
}

function endOf(run: NonNullable<HookView['last_run']>): string {
  if (run.result === 'failed') return `ended with ${run.exit_code}`
  return run.result === 'killed' ? `ended by ${run.signal}` : run.result
}

/** What it wrote for people, each line marked as its own. */
function renderErrors(stderr: string): string[] {
  const lines = stderr.trim().split('\n')
  return lines.filter((line) => line !== '').map((line) => `  | ${oneLine(line)}`)
}
