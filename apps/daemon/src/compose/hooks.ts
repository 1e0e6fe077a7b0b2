/** Part of the composition root: hooks, the socket that they send from, and what they send by. */
import { dirname } from 'node:path'
import type { DaemonPaths } from '@claudemesh/protocol'
import type { DaemonConfig } from '../config/config.ts'
import type { StoredEvent } from '../events/events.ts'
import { Capabilities } from '../hooks/capabilities.ts'
import { Hooks } from '../hooks/hooks.ts'
import { hookEnvironment } from '../hooks/runner.ts'
import { Sandboxes } from '../hooks/sandboxes.ts'
import type { HookEvent } from '../hooks/subject.ts'
import { toMessage } from '../inbox/message-view.ts'
import { HookDoor } from '../ipc/hook-door.ts'
import type { Closing } from '../lifecycle/closing.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { AcceptSend } from '../send/accept-send.ts'

export interface ComposedHooks {
  readonly hooks: Hooks
  readonly door: HookDoor
}

export function composeHooks(o: {
  readonly home: string
  readonly paths: DaemonPaths
  /** Of the daemon: that of its hooks is beside it. */
  readonly socket: string
  readonly config: () => DaemonConfig
  readonly stores: Stores
  readonly acceptSend: AcceptSend
  readonly runtime: Runtime
  readonly closing: Closing
  readonly log: Log
}): ComposedHooks {
  const { home, paths, config, stores, acceptSend, runtime, log } = o
  const { events, identity } = stores
  const { memberId, name } = identity.meshFile
  const { directory: daemonDirectory, hooks: directory } = paths
  const capabilities = new Capabilities(runtime)
  // As short as the name of the other one: where that fits, this does.
  const path = `${dirname(o.socket)}/hook`
  const door = new HookDoor({ path, capabilities, acceptSend, log })
  const sandboxes = new Sandboxes({
    place: () => ({ directory, home, socket: door.path }),
    environment: hookEnvironment(daemonDirectory),
    runtime,
  })
  const hooks = new Hooks({
    ...{ directory, daemonDirectory, home, memberId, name, capabilities, sandboxes, events, door, runtime, log },
    mesh: identity.slug,
    enabled: () => config().hooks.enabled,
    socket: () => door.path,
    complete: (event) => completed(event, stores),
    accept: (request, trace) => acceptSend.accept(request, null, trace),
  })
  o.closing.add('hooks', () => hooks.stop())
  return { hooks, door }
}

/** With the whole body of a message, of which the event may have the beginning alone. */
function completed(event: StoredEvent, { inbox, members }: Stores): HookEvent {
  if (event.type !== 'message' || event.data['truncated'] !== true) return event
  const row = inbox.get(String(event.data['id']))
  return row === null ? event : { ...event, data: { ...toMessage(row, members.findById(row.sender)?.name ?? null) } }
}
