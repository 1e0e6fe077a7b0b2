/** A daemon that accepts and cannot send: its broker has gone, so that accepting is all it does. */
import { join } from 'node:path'
import { requestOverSocket } from '../test/support/http-over-socket.ts'
import { type TestMember, TestMesh } from '../test/support/mesh.ts'
import { forkReady } from './load.ts'

export const message = { to: '@bob', message: 'm'.repeat(1024) }

export interface SendingDaemon {
  readonly directory: string
  readonly alice: TestMember
  close(): Promise<void>
}

export async function startSendingDaemon(): Promise<SendingDaemon> {
  const mesh = await TestMesh.start(['alice', 'bob'])
  const alice = mesh.member('alice')
  await Promise.all([mesh.broker.kill(), mesh.member('bob').kill()])
  const { status, text } = await requestOverSocket(alice.socket, { method: 'POST', path: '/v1/send', body: message })
  if (status !== 202) throw new Error(`the daemon does not accept: ${text}`)
  return { directory: mesh.directory, alice, close: () => mesh.end() }
}

/** A server that answers the same request without storing anything. */
export async function startAnswerOnly(directory: string): Promise<{ socketPath: string; close(): void }> {
  const socketPath = join(directory, 'answer-only.sock')
  const server = await forkReady('answer-only', [socketPath])
  return { socketPath, close: () => void server.kill() }
}
