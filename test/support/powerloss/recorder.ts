/**
 * Runs processes with one directory behind plfs, which records every change below it and can fail operations on request.
 *
 * The mount is in a mount namespace of its own. `launcher` puts a command into it, and `view` gives the path by which a
 * process outside, such as a test, reaches a file or a socket of one inside. Needs Linux, root, /dev/fuse, nsenter and a C
 * compiler, which compiles plfs.c on the first use into the user's cache directory.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Trace } from './trace.ts'

const source = fileURLToPath(new URL('./plfs.c', import.meta.url))
const required = 'CLAUDEMESH_TEST_POWERLOSS'

/**
 * Why nothing can be recorded on this machine; null when it can. With CLAUDEMESH_TEST_POWERLOSS=required that is an error,
 * for machines that are known to have what it takes.
 */
export function whyNotRecordable(): string | null {
  const reason = findObstacle()
  if (reason === null) return null
  if (process.env[required] === 'required') throw new Error(`${required}=required, and ${reason}`)
  console.log(`power loss and disk faults are not tested here: ${reason}`)
  return reason
}

function findObstacle(): string | null {
  if (process.platform !== 'linux') return 'the recorder needs Linux'
  if (process.geteuid?.() !== 0) return 'the recorder needs root'
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse'
  if (spawnSync('nsenter', ['--version']).status !== 0) return 'there is no nsenter'
  try {
    compile()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return tryOut()
}

/** Whether a mount succeeds is known only to whoever tries. */
function tryOut(): string | null {
  const scratch = mkdtempSync(join(tmpdir(), 'cm-plfs-'))
  try {
    const directory = join(scratch, 'directory')
    mkdirSync(directory)
    const arguments_ = ['--dir', directory, '--trace', join(scratch, 'trace'), '--', 'touch', join(directory, 'file')]
    const { status, stderr } = spawnSync(compile(), arguments_, { encoding: 'utf8' })
    return status === 0 ? null : `the recorder cannot mount: ${stderr.trim()}`
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/**
 * @returns the path of the program
 * @throws Error when there is no compiler, or it fails
 */
function compile(): string {
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'claudemesh-test')
  const program = join(cache, `plfs-${process.arch}-${digest}`)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  const compiler = process.env['CC'] ?? 'cc'
  const unfinished = `${program}.${process.pid}`
  const { status, error, stderr } = spawnSync(compiler, ['-O2', '-Wall', '-o', unfinished, source], {
    encoding: 'utf8',
  })
  if (error !== undefined) throw new Error(`there is no C compiler: ${error.message}`)
  if (status !== 0) throw new Error(`${compiler} cannot compile plfs.c: ${stderr}`)
  renameSync(unfinished, program)
  return program
}

export class Recording {
  /** Program and first arguments that run a command behind the recorder. */
  readonly launcher: readonly string[]
  readonly #plfs: ChildProcess
  readonly #tracePath: string
  readonly #inside: number
  readonly #ended: Promise<void>

  /**
   * Begins to record what happens below a directory. What is in it now counts as durable.
   *
   * @param options.trace a path outside of the directory
   * @param options.faults as `setFaults` takes them, from the first operation on
   */
  static async start(options: {
    readonly directory: string
    readonly trace: string
    readonly faults?: string
  }): Promise<Recording> {
    const { directory, trace, faults = '' } = options
    // The shell prints its id once the mount is there, and the recording ends with the shell's input.
    const held = ['sh', '-c', 'echo $$; exec cat']
    const plfs = spawn(compile(), ['--dir', directory, '--trace', trace, '--faults', faults, '--', ...held], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const inside = await new Promise<number>((resolve, reject) => {
      plfs.once('error', reject)
      plfs.once('exit', (code) => reject(new Error(`the recorder ended with ${code} before it began`)))
      plfs.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString('utf8'))))
    })
    return new Recording({ plfs, trace, inside })
  }

  private constructor(o: { readonly plfs: ChildProcess; readonly trace: string; readonly inside: number }) {
    this.#plfs = o.plfs
    this.#tracePath = o.trace
    this.#inside = o.inside
    this.launcher = ['nsenter', `--mount=/proc/${o.inside}/ns/mnt`, '--']
    this.#ended = new Promise((resolve) => o.plfs.once('close', () => resolve()))
  }

  /** How this process reaches a path of the recorded ones. */
  view(path: string): string {
    return `/proc/${this.#inside}/root${path}`
  }

  /**
   * Replaces the faults from the next operation on, and begins to count anew; none ends them. Comma-separated, GLOB
   * matches the base name:
   *
   * | fault                    | what happens                                                                            |
   * |--------------------------|-----------------------------------------------------------------------------------------|
   * | `eio-fsync=N[+][:GLOB]`  | the N-th fsync fails with EIO, with `+` every later one too                             |
   * | `eio-write=N[+][:GLOB]`  | the same of writes                                                                      |
   * | `eio-read=N[+][:GLOB]`   | the same of reads, of those that the kernel does not answer from memory                 |
   * | `enospc=BYTES`           | the files below the directory may hold BYTES in all: a short write, then ENOSPC         |
   * | `short=N[:GLOB]`         | every N-th write stores half of what it was given and says so                           |
   * | `slow-fsync=MS[:GLOB]`   | an fsync takes MS longer, and so does everything that waits for the recorder            |
   */
  setFaults(...faults: readonly string[]): void {
    const path = `${this.#tracePath}.faults`
    writeFileSync(`${path}.new`, faults.join(','))
    renameSync(`${path}.new`, path)
  }

  /** Ends the recording. The recorded processes must have ended. */
  async end(): Promise<Trace> {
    this.#plfs.stdin?.end()
    await this.#ended
    return new Trace(this.#tracePath)
  }
}
