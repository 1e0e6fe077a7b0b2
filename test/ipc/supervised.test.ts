/** A daemon under a service manager: what it is told (sd_notify), and the socket that the manager holds (LISTEN_FDS). */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'
import { requestOverSocket } from '../support/http-over-socket.ts'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const command = [process.execPath, claudemeshBin, 'daemon', 'start', '--foreground']

/** Prints what it is told, as a manager reads it: Node has no datagram sockets of this kind. */
const listener = `use Socket; $| = 1;
  socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, sockaddr_un($ARGV[0])) or die; print "open\\n";
  while (1) { recv($s, my $told, 65536, 0); print "$told\\n"; }`

/** Opens a socket, and starts the command that is given with it again and again. */
const holder = `use Socket; use POSIX (); $^F = 100; $| = 1; my ($path, @command) = @ARGV;
  socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; bind($s, sockaddr_un($path)) or die; listen($s, 128) or die;
  chmod 0600, $path; POSIX::dup2(fileno($s), 3) if fileno($s) != 3;
  while (1) {
    my $pid = fork;
    if (!$pid) { $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; exec @command or die }
    print "pid $pid\\n"; waitpid $pid, 0;
  }`

interface Helper {
  readonly child: ChildProcess
  output: string
}

function start(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Helper {
  const child = spawn(program, args, { env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const helper = { child, output: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    helper.output += text
  })
  return helper
}

test.skipIf(!has('perl') || !has('systemd-notify'))(
  'its manager hears that it is ready, lives, and leaves',
  async () => {
    const host = foundHome()
    const notifySocket = join(scratchDirectory(), 'notify')
    const manager = start('perl', ['-e', listener, notifySocket])
    await eventually('the manager listens', () => manager.output.includes('open'))
    const env = { CLAUDEMESH_HOME: host.home, NOTIFY_SOCKET: notifySocket, WATCHDOG_USEC: '600000' }
    const daemon = start(command[0] ?? '', command.slice(1), env)
    await eventually('it is ready', () => manager.output.includes('READY=1'))
    expect((await requestOverSocket(host.paths.socket, { method: 'GET', path: '/v1/health' })).status).toBe(200)
    await eventually('it lives', () => (manager.output.match(/WATCHDOG=1/g) ?? []).length >= 3)
    expect(manager.output).toMatch(/STATUS=not connected, sends are kept: /)
    const beats = () => (manager.output.match(/WATCHDOG=1/g) ?? []).length
    daemon.child.kill('SIGSTOP')
    await eventually('no word is on its way any more', async () => {
      const before = beats()
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      return beats() === before
    })
    daemon.child.kill('SIGCONT')
    daemon.child.kill('SIGTERM')
    await eventually('it leaves', () => manager.output.includes('STOPPING=1'))
  },
)

test.skipIf(!has('perl'))(
  'with a socket of its manager nobody is refused while it is killed and started again',
  async () => {
    const host = foundHome()
    const path = host.paths.socket
    const manager = start('perl', ['-e', holder, path, ...command], { CLAUDEMESH_HOME: host.home })
    // Each on a connection of its own: one that was kept would end with the process that is killed.
    const ask = () => requestOverSocket(path, { method: 'GET', path: '/v1/health', headers: { connection: 'close' } })
    await eventually('the socket is there', () => manager.output.includes('pid '))
    // Asked before anybody answers: it waits.
    const first = (await ask()).json as { pid: number }
    for (let kills = 0; kills < 3; kills += 1) {
      const { pid } = (await ask()).json as { pid: number }
      process.kill(pid, 'SIGKILL')
      await eventually('another one is started', () => !manager.output.endsWith(`pid ${pid}\n`))
      const next = (await ask()).json as { pid: number }
      expect(next.pid).not.toBe(pid)
    }
    const last = (await ask()).json as { pid: number }
    expect(last.pid).not.toBe(first.pid)
    manager.child.kill('SIGKILL')
    process.kill(last.pid, 'SIGKILL')
  },
)
