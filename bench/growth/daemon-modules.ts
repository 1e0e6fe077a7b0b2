/** The stores of the daemon as they are built, to be measured in this process: a request would hide what a row costs. */
type Modules = {
  readonly outbox: typeof import('../../apps/daemon/src/outbox/outbox.ts')
  readonly inbox: typeof import('../../apps/daemon/src/inbox/inbox.ts')
  readonly events: typeof import('../../apps/daemon/src/events/events.ts')
}

export async function loadStore<Name extends keyof Modules>(name: Name): Promise<Modules[Name]> {
  const url = new URL(`${name}/${name}.js`, import.meta.resolve('@claudemesh/daemon'))
  return (await import(url.href)) as Modules[Name]
}
