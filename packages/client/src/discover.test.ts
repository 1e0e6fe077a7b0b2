import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { discoverEndpoint, socketPathBytesMax } from './discover.ts'
import { type DaemonPaths, daemonPaths } from './protocol.ts'

let home: string
let paths: DaemonPaths

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'claudemesh-client-'))
  paths = makeDaemonDirectory(home)
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

function makeDaemonDirectory(root: string): DaemonPaths {
  const made = daemonPaths(root, 'home')
  mkdirSync(made.directory, { recursive: true })
  return made
}

describe('discovery', () => {
  test('finds the socket', () => {
    writeFileSync(paths.socket, '')
    expect(discoverEndpoint(paths)).toEqual({ kind: 'socket', path: paths.socket })
  })

  test('follows sock.path', () => {
    writeFileSync(paths.socketPath, '/run/user/1000/claudemesh/s\n')
    expect(discoverEndpoint(paths)).toEqual({ kind: 'socket', path: '/run/user/1000/claudemesh/s' })
  })

  test('follows a symlink when the path itself is too long for the system', () => {
    const deep = makeDaemonDirectory(join(home, 'd'.repeat(socketPathBytesMax(process.platform))))
    symlinkSync('/run/user/1000/claudemesh/s', deep.socket)
    expect(discoverEndpoint(deep)).toEqual({ kind: 'socket', path: '/run/user/1000/claudemesh/s' })
  })

  test('uses TCP with the token when there is no socket', () => {
    writeFileSync(paths.httpPort, '43117\n')
    writeFileSync(paths.localToken, 'secret\n')
    expect(discoverEndpoint(paths)).toEqual({ kind: 'tcp', port: 43_117, token: 'secret' })
  })

  test('never gives the token away while a socket is there, stale or not', () => {
    writeFileSync(paths.socket, '')
    writeFileSync(paths.httpPort, '43117\n')
    writeFileSync(paths.localToken, 'secret\n')
    expect(discoverEndpoint(paths).kind).toBe('socket')
  })

  const absent: readonly { name: string; arrange: () => void }[] = [
    { name: 'an empty directory', arrange: () => undefined },
    { name: 'no directory', arrange: () => rmSync(paths.directory, { recursive: true }) },
    { name: 'a port without a token', arrange: () => writeFileSync(paths.httpPort, '43117') },
    {
      name: 'a port that is none',
      arrange: () => {
        writeFileSync(paths.httpPort, '99999')
        writeFileSync(paths.localToken, 'secret')
      },
    },
  ]
  for (const { name, arrange } of absent) {
    test(`names the command that starts a daemon: ${name}`, () => {
      arrange()
      expect(() => discoverEndpoint(paths)).toThrow(
        expect.objectContaining({
          code: 'daemon_unreachable',
          hint: expect.stringContaining('claudemesh daemon start'),
        }),
      )
    })
  }
})
