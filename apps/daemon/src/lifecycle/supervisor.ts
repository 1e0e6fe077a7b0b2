/**
 * What a service manager is told of this daemon (sd_notify): that it is ready, how it is, that it leaves, and, where it asks, that
 * requests are answered: this process asks itself, over the socket, as everybody does. And the socket that the manager opened for it (LISTEN_FDS), so that nobody who connects
 * while the daemon is restarted is refused.
 *
 * Node has no datagram sockets of this kind: `systemd-notify`, which comes with systemd, sends what is to be said.
 */
import { spawn } from 'node:child_process'
import http from 'node:http'
import type { Health } from '@claudemesh/protocol'
import { supervisorAnswerMsMax, supervisorBeatMsMax } from '../limits.ts'
import type { Log } from '../log.ts'

/** The first descriptor that a manager hands over. */
const listenFdsStart = 3

/** What the environment of this process says of its manager. */
export interface SupervisorTerms {
  /** Where it listens for what it is told; null when it does not. */
  readonly notifySocket: string | null
  /** How long it believes without word that this process is alive; null: for ever. */
  readonly watchdogMs: number | null
  /** An open socket for requests; null when this process opens its own. */
  readonly listenFd: number | null
}

/** Reads the terms and takes them out of `env`: they are for this process and none that it starts. */
export function takeSupervisorTerms(env: NodeJS.ProcessEnv, pid: number): SupervisorTerms {
  const isFor = (name: string) => env[name] === undefined || env[name] === String(pid)
  const watchdogUsec = Number(env['WATCHDOG_USEC'])
  const terms = {
    notifySocket: env['NOTIFY_SOCKET'] ?? null,
    watchdogMs: watchdogUsec > 0 && isFor('WATCHDOG_PID') ? watchdogUsec / 1000 : null,
    listenFd: env['LISTEN_PID'] === String(pid) && Number(env['LISTEN_FDS']) >= 1 ? listenFdsStart : null,
  }
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) {
    delete env[name]
  }
  return terms
}

export interface SupervisorOptions {
  readonly terms: SupervisorTerms
  /** Where the daemon answers. */
  readonly socket: string
  readonly log: Log
}

export class Supervisor {
  readonly #o: SupervisorOptions
  #beats: NodeJS.Timeout | null = null

  constructor(o: SupervisorOptions) {
    this.#o = o
  }

  /** Requests are answered from now on. */
  ready(): void {
    if (this.#o.terms.notifySocket === null) return
    this.#tell('READY=1')
    const { watchdogMs } = this.#o.terms
    const beatMs = Math.min((watchdogMs ?? Number.POSITIVE_INFINITY) / 2, supervisorBeatMsMax)
    const beat = () =>
      void this.#beat().catch((error: unknown) => this.#o.log.warn({ err: error }, 'health_unanswered'))
    this.#beats = setInterval(beat, beatMs).unref()
    beat()
  }

  async #beat(): Promise<void> {
    const { link } = await askHealth(this.#o.socket)
    const status = link.connected
      ? `connected to ${link.broker_url}`
      : `not connected, sends are kept: ${link.last_error}`
    this.#tell(...(this.#o.terms.watchdogMs === null ? [] : ['WATCHDOG=1']), `STATUS=${status}`)
  }

  stopping(): void {
    if (this.#beats !== null) clearInterval(this.#beats)
    this.#tell('STOPPING=1', 'STATUS=leaving')
  }

  #tell(...words: readonly string[]): void {
    const { terms, log } = this.#o
    if (terms.notifySocket === null) return
    const env = { PATH: process.env['PATH'], NOTIFY_SOCKET: terms.notifySocket }
    // Without --no-block it stays until it was understood: of a sender that is gone nobody can say whose it was.
    const child = spawn('systemd-notify', [...words], { env, stdio: 'ignore' })
    child.once('error', (error) => log.warn({ err: error }, 'notify_failed'))
    child.once('exit', (code) => {
      if (code !== 0) log.warn({ exit_code: code }, 'notify_failed')
    })
    child.unref()
  }
}

function askHealth(socketPath: string): Promise<Health> {
  return new Promise((resolve, reject) => {
    const asked = http.get(
      { socketPath, path: '/v1/health', agent: false, timeout: supervisorAnswerMsMax },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Health)
          else reject(new Error(`answered with ${answer.statusCode}`))
        })
      },
    )
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
    asked.on('error', reject)
  })
}
