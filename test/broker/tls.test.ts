/** A broker that ends TLS itself. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { brokerStatus } from '../../apps/broker/src/status.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { startBroker } from '../support/raw-broker.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const certificates = join(import.meta.dirname, '../support/certificates')

test('it listens under wss, names the certificate it was given, and takes a new one on SIGHUP without a break', async () => {
  const { tls, use } = files('first')
  const data = join(scratchDirectory(), 'broker')
  const process = new ManagedProcess(
    ['broker', 'start', '--data', data, '--port', '0', '--tls-cert', tls.cert, '--tls-key', tls.key],
    {},
  )
  onTestFinished(async () => {
    await process.kill()
  })
  const url = await eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return /broker listening on (wss:\S+)\n/.exec(process.output)?.[1]
  })
  expect(await nameOf(url)).toBe('claudemesh test first')
  expect(await brokerStatus(data)).toMatchObject({ alive: true, ready: true, url })

  use('second')
  process.signal('SIGHUP')
  await eventually('the new certificate is shown', async () => (await nameOf(url)) === 'claudemesh test second')

  // A certificate without its key changes nothing.
  copyFileSync(join(certificates, 'first-cert.pem'), tls.cert)
  process.signal('SIGHUP')
  expect(await nameOf(url)).toBe('claudemesh test second')
  expect(await brokerStatus(data)).toMatchObject({ ready: true })
})

test('a key of another certificate keeps it from starting, and the message names both files', async () => {
  const { tls } = files('first')
  copyFileSync(join(certificates, 'second-key.pem'), tls.key)
  await expect(startBroker({ tls })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(tls.key),
  })
})

test('a file that is not there is named', async () => {
  const { tls } = files('first')
  await expect(startBroker({ tls: { ...tls, cert: '/nowhere.pem' } })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('/nowhere.pem'),
  })
})

function files(name: 'first' | 'second') {
  const directory = scratchDirectory()
  const tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  const use = (which: 'first' | 'second') => {
    copyFileSync(join(certificates, `${which}-cert.pem`), tls.cert)
    copyFileSync(join(certificates, `${which}-key.pem`), tls.key)
  }
  use(name)
  return { tls, use }
}

/** The common name in the certificate that a new connection is shown. */
function nameOf(url: string): Promise<string> {
  const { port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.end()
    })
    socket.on('error', reject)
  })
}
