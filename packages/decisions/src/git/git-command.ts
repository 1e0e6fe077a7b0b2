/**
 * The `git` of the host (07 §3), as this package runs it: the same whatever the user's environment and configuration say.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { MeshError } from '@claudemesh/protocol'

/** The first version whose refs, objects and batch commands do what is relied on here. */
const versionMin = { major: 2, minor: 38 }
/** What is kept of what a command says went wrong. */
const stderrCharsMax = 8_192

/** What every command is told, so that reading believes nothing but objects and writing is durable. */
const settings: readonly string[] = [
  'core.fsync=all',
  'core.fsyncMethod=fsync',
  // A commit graph repeats what the commits say, and could say something else.
  'core.commitGraph=false',
  'core.logAllRefUpdates=false',
  // Git warns of the empty file of grafts that it is given below.
  'advice.graftFileDeprecated=false',
  'gc.auto=0',
  'maintenance.auto=false',
]

/** How a command ended. */
export interface GitOutcome {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/**
 * Starts git in a repository.
 *
 * @throws MeshError `git_missing`, through `error` of the process
 */
export function startGit(
  repository: string,
  args: readonly string[],
  signal?: AbortSignal,
): ChildProcessWithoutNullStreams {
  const configured = settings.flatMap((setting) => ['-c', setting])
  return spawn('git', [...configured, ...args], {
    ...{ cwd: repository, env: gitEnvironment(), stdio: 'pipe' },
    ...(signal === undefined ? {} : { signal }),
  })
}

/**
 * Runs one command to its end.
 *
 * @param o `signal` ends it early; `input`: what it reads
 * @throws MeshError `git_missing`; what the signal was aborted with
 */
export function runGit(
  repository: string,
  args: readonly string[],
  { signal, input }: { readonly signal?: AbortSignal | undefined; readonly input?: Buffer } = {},
): Promise<GitOutcome> {
  const child = startGit(repository, args, signal)
  const stdout: Buffer[] = []
  const stderr = collectStderr(child)
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  // A command that ends before it has read everything says so by its code.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(signal?.aborted === true ? signal.reason : startFailure(error)))
    child.once('close', (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr: stderr() }))
  })
}

/**
 * Runs one command that must succeed.
 *
 * @returns what it printed
 * @throws MeshError `git_missing`, `insufficient_storage`, `storage_failed`
 */
export async function git(repository: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runGit(repository, args)
  if (code !== 0) throw gitFailure(`git ${args[0]}`, stderr)
  return stdout.toString('utf8')
}

/** What went wrong in a command, by what it said. */
export function gitFailure(command: string, stderr: string): MeshError {
  const said = stderr.trim()
  const isFull = /No space left on device|Disk quota exceeded/.test(said)
  return new MeshError(isFull ? 'insufficient_storage' : 'storage_failed', {
    detail: `${command} failed: ${said === '' ? 'it said nothing' : said}`,
  })
}

/** Why git could not be started. */
export function startFailure(error: Error): Error {
  const isMissing = 'code' in error && error.code === 'ENOENT'
  return isMissing ? new MeshError('git_missing', { cause: error }) : error
}

/** Collects what a process says went wrong. @returns what it has said so far */
export function collectStderr(child: ChildProcessWithoutNullStreams): () => string {
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString('utf8')}`.slice(-stderrCharsMax)
  })
  return () => said
}

/** @throws MeshError `git_missing`, `git_too_old` */
export async function checkGitVersion(): Promise<void> {
  const said = await git('/', ['version'])
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(said) ?? []
  const isOld =
    Number(major) < versionMin.major || (Number(major) === versionMin.major && Number(minor) < versionMin.minor)
  if (!isOld) return
  throw new MeshError('git_too_old', {
    detail: `This is ${said.trim()}; ${versionMin.major}.${versionMin.minor} or newer is needed.`,
  })
}

/** The environment without what would make git look elsewhere, ask somebody, speak another language, or trust graftings. */
function gitEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^GIT_(?!SSH|TRACE|EXEC_PATH)/.test(name))
  return {
    ...Object.fromEntries(inherited),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    // Whatever the configuration of the user allows: a remote helper runs any program.
    GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_GRAFT_FILE: '/dev/null',
  }
}
