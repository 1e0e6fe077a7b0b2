/**
 * Puts a hook into a sandbox where its configuration asks for one and the machine has it. What a sandbox does not hold off
 * is named as plainly as what it does.
 */
import { existsSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { sandboxProbeMsMax } from './limits.ts'
import { runProcess } from './process.ts'

export const sandboxKinds = ['none', 'bwrap', 'unshare'] as const
export type SandboxKind = (typeof sandboxKinds)[number]

/** What of a hook can be held off. */
export const confinements = ['network', 'files', 'processes'] as const
export type Confinement = (typeof confinements)[number]

export const enforcedBy: Readonly<Record<SandboxKind, readonly Confinement[]>> = {
  none: [],
  // No network but what is reached as a file: the daemon's own socket among it.
  unshare: ['network'],
  // Besides: an empty home, nothing to write to but what is gone afterwards, and no process survives.
  bwrap: ['network', 'files', 'processes'],
}

export interface SandboxPlace {
  /** Of the hooks: read and executed. */
  readonly directory: string
  /** Of claudemesh, with the keys and sockets of every daemon in it. */
  readonly home: string
  /** That takes capability tokens; null: there is none. */
  readonly socket: string | null
}

/** Program and first arguments that run a command in a sandbox. */
export function sandboxCommand(kind: SandboxKind, place: SandboxPlace): readonly string[] {
  switch (kind) {
    case 'none':
      return []
    case 'unshare':
      return process.geteuid?.() === 0 ? ['unshare', '--net'] : ['unshare', '--user', '--map-current-user', '--net']
    case 'bwrap':
      return ['bwrap', ...bwrapArguments(place)]
    default:
      return kind satisfies never
  }
}

/** The system read-only, both homes and everything temporary empty, and in it the hooks and their socket. */
function bwrapArguments({ directory, home, socket }: SandboxPlace): readonly string[] {
  const hidden = ['/tmp', '/run', '/var/tmp', tmpdir(), homedir(), home].filter(
    (path) => path !== '/' && existsSync(path),
  )
  return [
    ...['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...[...new Set(hidden)].flatMap((path) => ['--tmpfs', path]),
    ...['--ro-bind', directory, directory, ...(socket === null ? [] : ['--bind', socket, socket])],
    ...['--chdir', directory, '--'],
  ]
}

/** Why a sandbox does not work on this machine, or null. Found out by running something in it. */
export async function probeSandbox(
  kind: SandboxKind,
  o: { readonly place: SandboxPlace; readonly environment: Readonly<Record<string, string>> } & {
    readonly monotonicMs: () => number
  },
): Promise<string | null> {
  const [command, ...args] = [...sandboxCommand(kind, o.place), '/bin/sh', '-c', 'exit 0']
  if (command === undefined || kind === 'none') return null
  try {
    const { exitCode, stderr } = await runProcess({
      ...{ command, args, input: '', timeoutMs: sandboxProbeMsMax, monotonicMs: o.monotonicMs },
      ...{ directory: o.place.directory, environment: o.environment, signal: new AbortController().signal },
    })
    const [line = ''] = stderr.trim().split('\n')
    return exitCode === 0 ? null : `${kind} does not work here: ${line === '' ? `exit code ${exitCode}` : line}`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? `${kind} is not installed` : `${kind} cannot be run: ${code}`
  }
}
