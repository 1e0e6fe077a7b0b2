import { expect, test } from 'vitest'
import { daemonPaths, homePaths, meshFilePath } from './home.ts'

test('the home has its configuration, its meshes, its local broker and the lock of its fleet', () => {
  expect(homePaths('/home/ada/.claudemesh')).toEqual({
    home: '/home/ada/.claudemesh',
    config: '/home/ada/.claudemesh/config.toml',
    meshes: '/home/ada/.claudemesh/meshes',
    broker: '/home/ada/.claudemesh/broker',
    fleetLock: '/home/ada/.claudemesh/daemon/fleet.lock',
  })
  expect(meshFilePath('/home/ada/.claudemesh', 'team')).toBe('/home/ada/.claudemesh/meshes/team.json')
})

test('every file of a daemon has a path of its own below its directory', () => {
  const { directory, ...files } = daemonPaths('/h', 'team')
  expect(directory).toBe('/h/daemon/team')
  const paths = Object.values(files)
  for (const path of paths) expect(path.startsWith(`${directory}/`), path).toBe(true)
  expect(new Set(paths).size).toBe(paths.length)
  expect(files).toMatchObject({
    lock: '/h/daemon/team/lock',
    pid: '/h/daemon/team/pid',
    socket: '/h/daemon/team/sock',
    localToken: '/h/daemon/team/local_token',
    keypair: '/h/daemon/team/keypair.json',
    outboxDatabase: '/h/daemon/team/outbox.db',
    inboxDatabase: '/h/daemon/team/inbox.db',
    log: '/h/daemon/team/daemon.log',
  })
})

test('two daemons of one home share no file', () => {
  const one = new Set(Object.values(daemonPaths('/h', 'one')))
  for (const path of Object.values(daemonPaths('/h', 'two'))) expect(one.has(path)).toBe(false)
})
