/** A repository of decisions as its other users see it: through git. */
import { spawnSync } from 'node:child_process'
import { GitDecisionLog } from '@claudemesh/decisions'
import { expect, onTestFinished } from 'vitest'

/** Runs git. @throws when it fails */
export function git(repository: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: repository, encoding: 'utf8', maxBuffer: 2 ** 30 })
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

/** What `git fsck --strict` has to say; empty for a sound repository. */
export function fsck(repository: string): string {
  const { status, stdout, stderr } = spawnSync('git', ['fsck', '--strict', '--no-dangling', '--no-progress'], {
    cwd: repository,
    encoding: 'utf8',
  })
  // An unborn branch is what a repository has before anything was decided.
  const said = `${stdout}${stderr}`.replace(/^notice: .*\n/gm, '').trim()
  return status === 0 ? said : `${status}: ${said}`
}

export async function openLog(path: string): Promise<GitDecisionLog> {
  const log = await GitDecisionLog.open({ path })
  onTestFinished(() => log.close())
  return log
}

/** Reads a space from the start and checks that it is one line. @returns the intents, in order */
export async function readIntents(log: GitDecisionLog, space: string): Promise<readonly string[]> {
  if ((await log.head(space)).seq === 0) return []
  const intents: string[] = []
  const ids = new Set<string>()
  for await (const event of log.events(space)) {
    intents.push(event.intent_id)
    expect(event.seq).toBe(intents.length)
    ids.add(event.event_id)
  }
  expect(ids.size).toBe(intents.length)
  return intents
}
