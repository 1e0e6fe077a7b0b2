/** One process of a hook, whatever it does: real executables, the worst that people write. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { stderrBytesKept, stdoutBytesMax } from '../../apps/daemon/src/hooks/limits.ts'
import { type ProcessOrder, runProcess } from '../../apps/daemon/src/hooks/process.ts'
import { eventually } from '../support/eventually.ts'
import { hookProcesses, nodeScript, writeHook } from '../support/hook-scripts.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

/** Runs a script; every process of it can be found by its mark. */
function running(script: string, order: Partial<ProcessOrder> = {}) {
  const directory = scratchDirectory()
  const environment = { PATH: '/usr/bin:/bin', CLAUDEMESH_DAEMON: directory }
  const end = runProcess({
    ...{ command: writeHook(directory, 'hook', script), args: [], directory, environment, input: '' },
    ...{ timeoutMs: 10_000, signal: new AbortController().signal, monotonicMs: () => performance.now() },
    ...order,
  })
  const noneIsLeft = () => eventually('no process is left', () => hookProcesses(directory).length === 0)
  return { directory, end, noneIsLeft }
}

describe('a hook', () => {
  test('reads its input, writes to both outputs and ends with a code', async () => {
    const { end } = running('cat; echo hint >&2; exit 3', { input: '{"a":1}' })
    expect(await end).toMatchObject({
      exitCode: 3,
      signal: null,
      ended: 'by_itself',
      stdout: '{"a":1}',
      stderr: 'hint\n',
    })
  })

  test('has the environment that it is given and nothing else', async () => {
    const { end, directory } = running(nodeScript('console.log(JSON.stringify(process.env))'))
    expect(JSON.parse((await end).stdout)).toEqual({ PATH: '/usr/bin:/bin', CLAUDEMESH_DAEMON: directory })
  })

  test('may read nothing of a large input, or a part of it, and close what it does not need', async () => {
    const input = 'x'.repeat(256 * 1024)
    for (const script of ['exit 0', 'exec <&-; exec >&- 2>&-; exit 0', 'head -c 10 > /dev/null']) {
      expect(await running(script, { input }).end).toMatchObject({ exitCode: 0, ended: 'by_itself' })
    }
  })

  test('may write ten million bytes: the beginning is kept, and it is not held up', async () => {
    const { end } = running('head -c 10000000 /dev/zero | tr "\\0" o; head -c 100000 /dev/zero | tr "\\0" e >&2')
    const { exitCode, stdout, stdoutBytes, stderr } = await end
    expect([exitCode, stdoutBytes]).toEqual([0, 10_000_000])
    expect([stdout.length, stderr.length]).toEqual([stdoutBytesMax, stderrBytesKept])
  })

  test('that ends by a signal is said to', async () => {
    expect(await running('kill -SEGV $$').end).toMatchObject({ exitCode: null, signal: 'SIGSEGV', ended: 'by_itself' })
  })

  test('that cannot be started is an error of the system', async () => {
    await expect(running('#!/no/such/interpreter').end).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('the time of a hook', () => {
  test('ends it gently, and it may say goodbye', async () => {
    const script = 'trap "echo goodbye; exit 0" TERM; sleep 60 & wait'
    const { end, noneIsLeft } = running(script, { timeoutMs: 200 })
    expect(await end).toMatchObject({ exitCode: 0, ended: 'by_timeout', stdout: 'goodbye\n' })
    await noneIsLeft()
  })

  test('ends it by force when it does not listen, with all of its children', async () => {
    const script = 'trap "" TERM; (trap "" TERM; sleep 60) & (sleep 60 | sleep 60) & while :; do sleep 1; done'
    const { end, noneIsLeft } = running(script, { timeoutMs: 200 })
    expect(await end).toMatchObject({ exitCode: null, signal: 'SIGKILL', ended: 'by_timeout' })
    await noneIsLeft()
  })

  test('can be cut short from outside', async () => {
    const stopping = new AbortController()
    const { end, directory, noneIsLeft } = running('echo $$ > pid; sleep 60', { signal: stopping.signal })
    await eventually('it runs', () => existsSync(join(directory, 'pid')))
    stopping.abort()
    expect(await end).toMatchObject({ ended: 'by_stop' })
    await noneIsLeft()
  })
})

describe('what a hook leaves', () => {
  test('in its group is ended with it, and does not keep its output open', async () => {
    const { end, noneIsLeft } = running('for n in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; echo done')
    const { exitCode, stdout, durationMs } = await end
    expect([exitCode, stdout]).toEqual([0, 'done\n'])
    expect(durationMs).toBeLessThan(10_000)
    await noneIsLeft()
  })

  test('in a session of its own gets away, and does not hold up the daemon', async () => {
    const { end, directory } = running(
      'setsid sh -c "echo \\$\\$ > escaped; sleep 60" & while [ ! -s escaped ]; do sleep 0.01; done',
    )
    expect(await end).toMatchObject({ exitCode: 0 })
    const pid = Number(readFileSync(join(directory, 'escaped'), 'utf8'))
    expect(hookProcesses(directory)).toContain(pid)
    process.kill(-pid, 'SIGKILL')
  })

  test('while it makes more of itself than anybody counts is ended with it', async () => {
    const script = 'f() { [ "$1" -gt 0 ] && { f $(($1 - 1)) & f $(($1 - 1)) & }; sleep 60; }; f 5'
    const { end, noneIsLeft } = running(script, { timeoutMs: 500 })
    expect(await end).toMatchObject({ ended: 'by_timeout' })
    await noneIsLeft()
  })
})
