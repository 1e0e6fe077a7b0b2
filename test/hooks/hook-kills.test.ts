/** A daemon that is killed while its hooks run: every event comes to its hook, an answer goes out once, nothing is left. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { hookProcesses, writeHook, writeHooksFile } from '../support/hook-scripts.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { seeded } from '../support/seed.ts'

const kills = Number(process.env.CLAUDEMESH_TEST_HOOK_KILLS ?? 3)
const messagesPerKill = 6
const random = seeded()

let mesh: TestMesh
let alice: TestMember
let bob: TestMember

beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'])
  alice = mesh.member('alice')
  bob = mesh.member('bob')
  return () => mesh.end()
}, 60_000)
afterAll(async () => {
  await bob.kill()
  // What it has left is ended by its next start; here there is none.
  for (const pid of hookProcesses(bob.paths.directory)) process.kill(pid, 'SIGKILL')
})

/** A hook that notes each of its runs as a line `<message> <run>`, and answers. */
function writeNotingHook(before = '', after = ''): void {
  const script = `
text=$(sed 's/.*"message":"\\([^"]*\\)".*/\\1/')
${before}
echo "$text $CLAUDEMESH_RUN" >> "${mesh.directory}/runs"
${after}
echo "{\\"reply\\":\\"re $text $CLAUDEMESH_RUN\\"}"`
  writeHook(bob.paths.hooks, 'on-dm', script)
  writeHooksFile(bob.paths.hooks, '[on-dm]\nallow_reply = true\n')
}

function runsOf(text: string): number {
  if (!readdirSync(mesh.directory).includes('runs')) return 0
  const lines = readFileSync(join(mesh.directory, 'runs'), 'utf8').split('\n')
  return lines.filter((line) => line.startsWith(`${text} `)).length
}

async function repliesTo(text: string): Promise<number> {
  return (await alice.inbox()).filter(({ message }) => message?.startsWith(`re ${text} `)).length
}

async function settled(): Promise<void> {
  await eventually('every hook has come to its end', async () => {
    const { json } = await bob.request({ method: 'GET', path: '/v1/hooks' })
    const { hooks } = json as { hooks: { running: number; behind: number }[] }
    return hooks.every(({ running, behind }) => running === 0 && behind === 0)
  })
  await bob.drained()
  await alice.drained()
}

test.each(['daemon.hook.ended', 'daemon.hook.recorded'])(
  'killed at %s: the hook has its event, and answers once',
  async (crashAt) => {
    writeNotingHook()
    await bob.start({ crashAt })
    await alice.send({ to: '@bob', message: crashAt })
    expect(await bob.running.ended).toMatchObject({ signal: 'SIGKILL' })
    expect(runsOf(crashAt)).toBe(1)
    await bob.start()
    await eventually('the answer is there', async () => (await repliesTo(crashAt)) > 0)
    await settled()
    expect(runsOf(crashAt)).toBe(crashAt === 'daemon.hook.ended' ? 2 : 1)
    expect(await repliesTo(crashAt)).toBe(1)
  },
  30_000,
)

test('killed while a hook runs: its processes are ended by the next start, and the hook has its event again', async () => {
  writeNotingHook('', 'setsid sleep 61 & sleep 61 & wait')
  await bob.start()
  await alice.send({ to: '@bob', message: 'interrupted' })
  await eventually('the hook runs', () => runsOf('interrupted') === 1)
  await bob.kill()
  const left = hookProcesses(bob.paths.directory)
  expect(left.length).toBeGreaterThanOrEqual(3)
  writeNotingHook()
  await bob.start()
  await eventually('what was left is gone', () =>
    left.every((pid) => !hookProcesses(bob.paths.directory).includes(pid)),
  )
  await eventually('the answer is there', async () => (await repliesTo('interrupted')) > 0)
  await settled()
  expect(runsOf('interrupted')).toBe(2)
  expect(bob.running.output).toContain('hooks_left_behind_ended')
}, 30_000)

test('stopped while a hook runs: the hook is ended, and has its event again', async () => {
  writeNotingHook('', 'sleep 61')
  await bob.start()
  await alice.send({ to: '@bob', message: 'stopped' })
  await eventually('the hook runs', () => runsOf('stopped') === 1)
  bob.running.signal('SIGTERM')
  expect(await bob.running.ended).toMatchObject({ code: 0 })
  expect(hookProcesses(bob.paths.directory)).toEqual([])
  writeNotingHook()
  await bob.start()
  await settled()
  expect([runsOf('stopped'), await repliesTo('stopped')]).toEqual([2, 1])
}, 30_000)

test('killed again and again under traffic: no event is lost to its hook, and no answer goes out twice', async () => {
  writeNotingHook('', 'sleep 0.05')
  await bob.start()
  const texts: string[] = []
  for (let round = 0; round < kills; round += 1) {
    for (let n = 0; n < messagesPerKill; n += 1) {
      const text = `storm-${round}-${n}`
      texts.push(text)
      await alice.send({ to: '@bob', message: text })
    }
    await pause(random.next() * 400)
    await bob.start()
  }
  await eventually('all are answered', async () => {
    const answered = await Promise.all(texts.map(repliesTo))
    return answered.every((count) => count > 0)
  })
  await settled()
  const runs = texts.map(runsOf)
  expect(runs.filter((count) => count === 0)).toEqual([])
  expect(await Promise.all(texts.map(repliesTo))).toEqual(texts.map(() => 1))
  const repeated = runs.filter((count) => count > 1).length
  console.log(
    `hooks under ${kills} kills, seed ${random.seed}: ${texts.length} events, ${repeated} given again, each answered once`,
  )
}, 60_000)
