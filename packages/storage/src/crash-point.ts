/**
 * Named points at which a test can kill the process as if the power had gone: `CLAUDEMESH_CRASH_AT=name`, or `name:N`
 * for the N-th time the point is passed. The variable is read once, at the first point passed, so that a point costs
 * one comparison when it is unset.
 */
interface ArmedPoint {
  readonly name: string
  passesLeft: number
}

/** Undefined until the environment has been read. */
let armed: ArmedPoint | null | undefined

/**
 * Dies here by SIGKILL when the environment says so.
 *
 * @param name `noun.moment`, unique in the program, e.g. `outbox.before_commit`
 */
export function crashPoint(name: string): void {
  if (armed === undefined) armed = readArmedPoint(process.env['CLAUDEMESH_CRASH_AT'])
  if (armed === null || armed.name !== name) return
  armed.passesLeft -= 1
  if (armed.passesLeft === 0) process.kill(process.pid, 'SIGKILL')
}

function readArmedPoint(setting: string | undefined): ArmedPoint | null {
  if (setting === undefined || setting === '') return null
  const [, name, count] = /^(.+?)(?::([1-9][0-9]*))?$/.exec(setting) ?? []
  return name === undefined ? null : { name, passesLeft: Number(count ?? 1) }
}
