/** The daemon as a service: what is written for the manager of this host, and what the manager is told to do with it. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine } from './command-line.ts'

interface Installed {
  readonly manager: string
  readonly name: string
  readonly files: readonly string[]
  readonly commands: readonly string[]
}

const onLinux = process.platform === 'linux'

/** A home, and a `systemctl` that writes down what it is told: no manager runs where tests do. */
function openHost(o: { readonly systemctl?: string } = {}) {
  const line = new CommandLine()
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const programs = scratchDirectory()
  const told = join(programs, 'told')
  writeFileSync(told, '')
  const program = join(programs, 'systemctl')
  writeFileSync(program, `#!/bin/sh\necho "$@" >> ${told}\n${o.systemctl ?? ''}\n`)
  chmodSync(program, 0o755)
  const path = [programs, cleanEnvironment()['PATH'] ?? ''].join(delimiter)
  const env = { PATH: path, XDG_CONFIG_HOME: join(programs, 'config') }
  return { line, env, told: () => readFileSync(told, 'utf8').trim().split('\n') }
}

test.skipIf(!onLinux)('a user service is written, enabled, and taken away again, and either can be repeated', () => {
  const { line, env, told } = openHost()
  const install = () => line.json<Installed>(['daemon', 'install-service', '--socket-activation'], { env })
  const { manager, name, files } = install()
  expect({ manager, name }).toEqual({ manager: 'systemd', name: 'claudemesh-daemon@home' })
  expect(install().files).toEqual(files)
  const [service = '', socket = ''] = files
  expect(service).toBe(join(env.XDG_CONFIG_HOME, 'systemd/user/claudemesh-daemon@home.service'))
  const unit = readFileSync(service, 'utf8')
  expect(unit).toContain(`ExecStart="${process.execPath}" `)
  expect(unit).toContain(`Environment="CLAUDEMESH_HOME=${line.home}"`)
  expect(unit).not.toMatch(/@[A-Z]+@|MemoryDenyWriteExecute=/)
  expect(readFileSync(socket, 'utf8')).toContain(`ListenStream=${line.home}/daemon/home/sock`)
  const uninstall = () => line.json<{ removed: boolean }>(['daemon', 'uninstall-service'], { env }).removed
  expect([uninstall(), uninstall()]).toEqual([true, false])
  expect(files.filter(existsSync)).toEqual([])
  const enable = '--user enable --now claudemesh-daemon@home.socket claudemesh-daemon@home.service'
  expect(told()).toEqual([
    '--user daemon-reload',
    enable,
    '--user daemon-reload',
    enable,
    '--user disable --now claudemesh-daemon@home.socket claudemesh-daemon@home.service',
    '--user daemon-reload',
  ])
})

const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0

test.skipIf(!onLinux || !hasAnalyze)('systemd finds nothing to complain of in what is written', () => {
  const { line, env } = openHost()
  const { files } = line.json<Installed>(['daemon', 'install-service', '--socket-activation'], { env })
  const surroundings = { ...cleanEnvironment(), XDG_RUNTIME_DIR: scratchDirectory() }
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--user', ...files], {
    env: surroundings,
    encoding: 'utf8',
  })
  expect(stderr.split('\n').filter((text) => text.includes('claudemesh'))).toEqual([])
  expect(status, stderr).toBe(0)
})

test.skipIf(!onLinux)('the system service is for its user and can write the home alone', () => {
  const { line, env, told } = openHost()
  const { stdout } = line.run(['daemon', 'install-service', '--system', '--dry-run'], { env })
  for (const text of ['# /etc/systemd/system/', 'User=', `ReadWritePaths="${line.home}"`, 'ProtectSystem=strict']) {
    expect(stdout).toContain(text)
  }
  expect(stdout).toContain('systemctl enable --now claudemesh-daemon@home.service')
  expect(told(), 'nothing is done').toEqual([''])
})

test('in a CI job nothing is installed unless that is wanted', () => {
  const { line, env } = openHost()
  const ci = { ...env, CI: 'true' }
  expect(line.problem(['daemon', 'install-service'], { env: ci })).toMatchObject({
    code: 'invalid_usage',
    exitCode: 64,
  })
  expect(line.run(['daemon', 'install-service', '--allow-ci-persistent', '--dry-run'], { env: ci }).status).toBe(0)
})

test.skipIf(!onLinux)('a manager that refuses is quoted', () => {
  const { line, env } = openHost({ systemctl: 'echo "Failed to connect to bus" >&2; exit 1' })
  const problem = line.problem(['daemon', 'install-service'], { env })
  expect(problem).toMatchObject({ code: 'start_failed', detail: expect.stringContaining('Failed to connect to bus') })
})

test.skipIf(!onLinux)('a restart goes through the manager, and doctor tells of what is wrong with the service', () => {
  const answer = join(scratchDirectory(), 'answer')
  writeFileSync(answer, 'inactive')
  const start = `"${process.execPath}" "${claudemeshBin}" daemon start > /dev/null`
  const { line, env, told } = openHost({
    systemctl: `case "$*" in *is-active*) cat ${answer};; *" restart "*) ${start};; esac`,
  })
  const codes = () => {
    const { findings } = JSON.parse(line.run(['doctor', '--json'], { env }).stdout) as { findings: { code: string }[] }
    return findings.map(({ code }) => code).filter((code) => code.startsWith('service_'))
  }
  expect(codes(), 'none is installed').toEqual([])
  const [unit = ''] = line.json<Installed>(['daemon', 'install-service'], { env }).files
  expect(codes()).toEqual(['service_down'])
  const restarted = line.json<{ service: string; pid: number }>(['daemon', 'restart'], { env })
  expect(restarted.service).toBe('claudemesh-daemon@home')
  expect(told().at(-1)).toBe('--user restart claudemesh-daemon@home.service')
  writeFileSync(answer, 'active')
  expect(codes()).toEqual([])
  const text = readFileSync(unit, 'utf8')
  writeFileSync(unit, text.replace('TasksMax=128', 'TasksMax=1'))
  expect(codes()).toEqual(['service_differs'])
  writeFileSync(unit, text.replace(process.execPath, '/gone/%%/node'))
  expect(codes()).toEqual(['service_interpreter_gone', 'service_differs'])
  line.json(['daemon', 'install-service'], { env })
  expect(codes()).toEqual([])
  line.json(['daemon', 'stop'])
})

test.skipIf(!onLinux || !hasAnalyze)('a service of the host is well closed off', () => {
  const { line, env } = openHost()
  const { stdout } = line.run(['daemon', 'install-service', '--system', '--dry-run'], { env })
  const path = join(scratchDirectory(), 'claudemesh-daemon@home.service')
  writeFileSync(path, stdout.slice(stdout.indexOf('\n') + 1, stdout.lastIndexOf('\nsystemctl daemon-reload')))
  const judged = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=50', path], {
    encoding: 'utf8',
  })
  expect(judged.status, judged.stdout + judged.stderr).toBe(0)
})
