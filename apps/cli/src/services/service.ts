/**
 * A daemon as a service of this host: what is written for its manager, and which commands make it run and end. Nothing here
 * touches the host; `install.ts` does.
 */
import { join } from 'node:path'
import { type Filling, fillTemplate } from './templates.ts'

export interface Host {
  readonly platform: string
  /** The user that runs this: the service is theirs. */
  readonly user: { readonly name: string; readonly id: number; readonly home: string }
  /** XDG_CONFIG_HOME, or its default. */
  readonly configHome: string
}

export interface Service {
  readonly manager: 'systemd' | 'launchd'
  /** What the manager calls it. */
  readonly name: string
  /** It is started with the host; else with its user. */
  readonly isOfHost: boolean
  readonly files: readonly { readonly path: string; readonly text: string }[]
  /** In order, once the files are there. */
  readonly enable: readonly (readonly string[])[]
  /** In order, while the files are still there; then `forget`, when they are gone. */
  readonly disable: readonly (readonly string[])[]
  readonly forget: readonly (readonly string[])[]
  readonly restart: readonly string[]
  /** Asks whether it runs; `running` is what the answer then looks like. */
  readonly ask: { readonly command: readonly string[]; readonly running: RegExp }
  /** Finds the program that the manager starts in the first of the files. */
  readonly interpreter: (text: string) => string | null
  /** What is left for the person to know. */
  readonly note: string | null
}

export interface ServiceWish {
  /** For the whole host, started with it; else for this user. */
  readonly system: boolean
  /** The manager opens the socket and keeps it while the daemon is restarted. */
  readonly socketActivation: boolean
}

/** @returns null when this system has no manager that is known */
export function describeService(filling: Filling, wish: ServiceWish, host: Host): Service | null {
  if (host.platform === 'linux') return onSystemd(filling, wish, host)
  return host.platform === 'darwin' ? onLaunchd(filling, wish, host) : null
}

function onSystemd(filling: Filling, { system, socketActivation }: ServiceWish, host: Host): Service {
  const name = `claudemesh-daemon@${filling.mesh}`
  const directory = system ? '/etc/systemd/system' : join(host.configHome, 'systemd/user')
  const systemctl = system ? ['systemctl'] : ['systemctl', '--user']
  const template = system ? 'claudemesh-daemon-system@.service' : 'claudemesh-daemon@.service'
  const socket = {
    path: join(directory, `${name}.socket`),
    text: fillTemplate('systemd', 'claudemesh-daemon@.socket', filling),
  }
  const service = { path: join(directory, `${name}.service`), text: fillTemplate('systemd', template, filling) }
  const units = [...(socketActivation ? [`${name}.socket`] : []), `${name}.service`]
  const reload = [...systemctl, 'daemon-reload']
  return {
    manager: 'systemd',
    name,
    isOfHost: system,
    files: socketActivation ? [service, socket] : [service],
    enable: [reload, [...systemctl, 'enable', '--now', ...units]],
    disable: [[...systemctl, 'disable', '--now', ...units]],
    forget: [reload],
    restart: [...systemctl, 'restart', `${name}.service`],
    ask: { command: [...systemctl, 'is-active', `${name}.service`], running: /^active$/m },
    interpreter: (text) => quoted(/^ExecStart="((?:[^"\\]|\\.)*)"/m.exec(text)?.[1]),
    note: system
      ? null
      : `It runs while ${host.user.name} is logged in; to have it run always: loginctl enable-linger ${host.user.name}`,
  }
}

function onLaunchd(filling: Filling, { system }: ServiceWish, host: Host): Service {
  const name = `com.claudemesh.daemon.${filling.mesh}`
  const domain = system ? 'system' : `gui/${host.user.id}`
  const directory = system ? '/Library/LaunchDaemons' : join(host.user.home, 'Library/LaunchAgents')
  const path = join(directory, `${name}.plist`)
  const text = fillTemplate('launchd', 'com.claudemesh.daemon.plist', filling)
  return {
    manager: 'launchd',
    name,
    isOfHost: system,
    // A daemon of the host has to be told whose it is; an agent is its user's anyway.
    files: [{ path, text: system ? text : text.replace(/\n *<key>UserName<\/key>\n.*/, '') }],
    enable: [['launchctl', 'bootstrap', domain, path]],
    disable: [['launchctl', 'bootout', `${domain}/${name}`]],
    forget: [],
    restart: ['launchctl', 'kickstart', '-k', `${domain}/${name}`],
    ask: { command: ['launchctl', 'print', `${domain}/${name}`], running: /^\s*state = running$/m },
    interpreter: (text) => /<key>ProgramArguments<\/key>\s*<array>\s*<string>([^<]*)</.exec(text)?.[1] ?? null,
    note: null,
  }
}

/** A word of a unit as it is meant: what a template wrote with escapes. */
function quoted(word: string | undefined): string | null {
  return word === undefined ? null : word.replaceAll(/\\(.)/g, '$1').replaceAll('%%', '%')
}
