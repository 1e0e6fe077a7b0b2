import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import pino from 'pino'
import { expect, test } from 'vitest'
import { LocalBroker } from '../../apps/daemon/src/lifecycle/local-broker.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const log = pino({ level: 'silent' })

test('the broker of this home is started detached, with its data, its port and an end of its own', async () => {
  const home = scratchDirectory()
  const program = `${home}/program.mjs`
  writeFileSync(
    program,
    `import { appendFileSync } from 'node:fs'
     appendFileSync('${home}/calls', JSON.stringify(process.argv.slice(2)) + '\\n')
     console.log('it speaks')`,
  )
  let elapsedMs = 0
  const runtime = { ...systemRuntime(), monotonicMs: () => elapsedMs }
  const selfCommand = [process.execPath, program]
  const broker = new LocalBroker({ home, url: 'ws://127.0.0.1:7411/v1/ws', selfCommand, runtime, log })
  broker.ensure()
  broker.ensure()
  const calls = () => (existsSync(`${home}/calls`) ? readFileSync(`${home}/calls`, 'utf8').trim().split('\n') : [])
  await eventually('it was started', () => calls().length === 1)
  const flags = ['--data', `${home}/broker`, '--port', '7411', '--idle-exit', '60']
  expect(JSON.parse(calls()[0] ?? '')).toEqual(['broker', 'start', ...flags])
  await eventually('it spoke', () => readFileSync(`${home}/broker/broker.out`, 'utf8').includes('it speaks'))
  expect(statSync(`${home}/broker/broker.out`).mode & 0o777).toBe(0o600)
  broker.ensure()
  elapsedMs += 2_000
  await eventually('it is started again, not sooner than its interval', () => {
    broker.ensure()
    return calls().length === 2
  })
})

test('a program that is not there is no reason to fall', async () => {
  const home = scratchDirectory()
  const runtime = systemRuntime()
  const selfCommand = [`${home}/no-such-program`]
  const broker = new LocalBroker({ home, url: 'ws://127.0.0.1:7411', selfCommand, runtime, log })
  broker.ensure()
  await eventually('its failure was noticed', () => existsSync(`${home}/broker/broker.out`))
})
