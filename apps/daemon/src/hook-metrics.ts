/** The metrics of hooks; how many of them there are is in hooks.toml. */
import type { Registry } from 'prom-client'
import type { ConfiguredHook, Hooks } from './hooks/hooks.ts'
import { declare, declareTotal, type Reading } from './metric-forms.ts'

export function declareHooks(
  registry: Registry,
  { hooks, hookRequestsRefused }: { readonly hooks: Hooks; readonly hookRequestsRefused: () => number },
): void {
  const each = (read: (hook: ConfiguredHook) => number) => (): Reading =>
    [...hooks.configured].map(([name, hook]) => [{ hook: name }, read(hook)])
  const by = (label: string, read: (hook: ConfiguredHook) => ReadonlyMap<string, number>) => (): Reading =>
    [...hooks.configured].flatMap(([name, hook]) =>
      [...read(hook)].map(([value, count]) => [{ hook: name, [label]: value }, count] as const),
    )
  const labels = ['hook']
  declare(registry, { name: 'hook_processes', help: 'Hooks that run now', read: () => hooks.running })
  declareTotal(registry, {
    name: 'hook_runs',
    help: 'Runs of hooks since the start, by how they ended',
    labels: ['hook', 'result'],
    read: by('result', ({ tally }) => tally.runs),
  })
  declareTotal(registry, {
    name: 'hook_replies',
    help: 'Runs of hooks since the start, by what became of their reply',
    labels: ['hook', 'reply'],
    read: by('reply', ({ tally }) => tally.replies),
  })
  declare(registry, {
    name: 'hook_events_behind',
    help: 'Events that a hook has not come to, at most',
    labels,
    read: each(({ delivery }) => delivery?.behind ?? 0),
  })
  declareTotal(registry, {
    name: 'hook_events_missed',
    help: 'Events that were removed before they came to a hook, at most',
    labels,
    read: each(({ tally }) => tally.missed),
  })
  declareTotal(registry, {
    name: 'hook_unconfined_runs',
    help: 'Runs without the sandbox that the hook asks for',
    labels,
    read: each(({ tally }) => tally.unconfined),
  })
  declareTotal(registry, {
    name: 'hook_requests_refused',
    help: 'Requests of hooks that asked for more than their token is for',
    read: hookRequestsRefused,
  })
}
