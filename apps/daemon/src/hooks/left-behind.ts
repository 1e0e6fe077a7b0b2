/**
 * Ends what hooks of a daemon that was killed have left running: their events are given to them again, and two of a kind at
 * the same time is what nobody expects. A process is one of them when its environment says so, so that a number that
 * was given to another process since does no harm. Where there is no `/proc` they end when they end.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Names the directory of the daemon in the environment of its hooks. */
export const daemonVariable = 'CLAUDEMESH_DAEMON'

/**
 * The caller holds the lock of the daemon, and has started no hook yet.
 *
 * @returns how many processes there were
 */
export function endLeftBehind(directory: string): number {
  // This process may have been started by a hook: what it starts itself is none.
  delete process.env[daemonVariable]
  const mark = `${daemonVariable}=${directory}`
  const pids = listProcesses().filter((pid) => pid !== process.pid && environmentOf(pid).includes(mark))
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      // It has ended meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  return pids.length
}

function listProcesses(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^[0-9]+$/.test(name))
      .map(Number)
  } catch {
    // No such file system here.
    return []
  }
}

function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    // Ended, or somebody else's.
    return []
  }
}
