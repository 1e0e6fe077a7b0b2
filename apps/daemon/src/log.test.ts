import { MeshError } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { openLog } from './log.ts'

test('no line ever holds a body, a token or a key, whoever writes it', () => {
  const lines: string[] = []
  const log = openLog({ level: 'info', version: '1', destination: { write: (line) => void lines.push(line) } })
  const secret = 'do-not-write-this'
  const names = ['message', 'body', 'meta', 'payload', 'sealed', 'token', 'authorization', 'seed', 'signature']
  for (const name of names) {
    log.send.info({ [name]: secret, id: 1 }, 'event')
    log.send.info({ row: { [name]: secret } }, 'event')
  }
  log.ipc.error({ err: new MeshError('idempotency_key_reused', { data: { seed: secret } }) }, 'event')
  expect(lines).toHaveLength(names.length * 2 + 1)
  expect(lines.join('')).not.toContain(secret)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', subsystem: 'send', event: 'event', id: 1 })
})

test('an error is logged with its code, its sentence and its cause', () => {
  const lines: string[] = []
  const log = openLog({ level: 'info', version: '1', destination: { write: (line) => void lines.push(line) } })
  log.ipc.error({ err: new MeshError('storage_failed', { cause: new Error('EIO') }) }, 'request_failed')
  expect(JSON.parse(lines[0] ?? '').err).toMatchObject({ code: 'storage_failed', cause: { detail: 'EIO' } })
})

test('a level that is set later holds for every subsystem', () => {
  const lines: string[] = []
  const log = openLog({ level: 'warn', version: '1', destination: { write: (line) => void lines.push(line) } })
  log.link.info('one')
  log.setLevel('info')
  log.link.info('two')
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(['two'])
})
