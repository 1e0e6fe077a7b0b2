/** The service files that come with this package (`systemd/`, `launchd/`), filled in for one member of this host. */
import { readFileSync } from 'node:fs'

export interface Filling {
  /** The Node that the dependencies were installed with, by its absolute path. */
  readonly node: string
  readonly claudemesh: string
  readonly home: string
  readonly mesh: string
  readonly user: string
  /** What systemd lets it have, as its MemoryMax. */
  readonly memory: string
}

const escapes = {
  /** A `%` names something of the unit; the templates quote what may hold spaces. */
  systemd: (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%'),
  launchd: (value: string) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
} as const

/** @param name a file of the directory, e.g. `claudemesh-daemon@.service` */
export function fillTemplate(directory: keyof typeof escapes, name: string, filling: Filling): string {
  const template = readFileSync(new URL(`../../../../${directory}/${name}`, import.meta.url), 'utf8')
  const values: Readonly<Record<string, string>> = {
    NODE: filling.node,
    CLAUDEMESH: filling.claudemesh,
    HOME: filling.home,
    MESH: filling.mesh,
    USER: filling.user,
    MEMORY: filling.memory,
  }
  return template.replaceAll(/@([A-Z]+)@/g, (whole, key: string) => {
    const value = values[key]
    return value === undefined ? whole : escapes[directory](value)
  })
}
