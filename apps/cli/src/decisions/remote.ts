/** How a command line names another repository. */
import { resolve } from 'node:path'
import type { ArgumentDefinition } from '../command.ts'

export const remoteArgument: ArgumentDefinition = {
  syntax: '<remote>',
  describe: 'a path, a URL, host:path, or the name of a remote of the repository',
}

/** The daemon runs in another directory: what begins as a path does is a path from here. */
export function readRemote(text: string): string {
  return /^\.{1,2}(\/|$)/.test(text) ? resolve(text) : text
}
