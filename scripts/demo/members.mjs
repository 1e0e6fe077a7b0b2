// The members of the demo: their homes below one temporary directory, their commands, their daemons and what is said.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { root } from '../prepare.mjs'

/** Everything of this demo; it goes when the process does. */
export const place = mkdtempSync(join(tmpdir(), 'claudemesh-demo-'))
export const alice = member('alice')
export const bob = member('bob')

process.on('SIGINT', () => process.exit(130))
process.on('exit', cleanUp)

function member(name) {
  const home = join(place, name)
  return { name, home, directory: join(home, 'daemon', 'demo'), socket: join(home, 'daemon', 'demo', 'sock') }
}

function cleanUp() {
  for (const pid of [brokerPid(), daemonPid(alice), daemonPid(bob)]) if (pid !== null) kill(pid)
  rmSync(place, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}

/** Runs the command line of a member, which must succeed; what it prints. */
export function claudemesh(one, args, input) {
  const command = [join(root, 'apps/cli/bin/claudemesh.js'), ...args]
  const env = { ...process.env, CLAUDEMESH_HOME: one.home, NO_COLOR: '1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { env, input, encoding: 'utf8' })
  if (status !== 0)
    throw new Error(`claudemesh ${args.join(' ')} of ${one.name} ended with ${status}\n${stdout}${stderr}`)
  return stdout
}

/** The same, shown. */
export function shown(one, args) {
  say(`$ claudemesh ${args.join(' ')}${' '.repeat(Math.max(1, 52 - args.join(' ').length))}# ${one.name}`)
  say(claudemesh(one, args).trimEnd())
}

/** What curl prints. */
export function curl(args) {
  return execFileSync('curl', ['--silent', '--show-error', ...args], { encoding: 'utf8' }).trimEnd()
}

/** What a route answers; null when nobody does. */
export function get(one, path) {
  return request(one, 'GET', path).then(
    ({ json }) => json,
    () => null,
  )
}

/** One request on the socket of a member. */
export function request(one, method, path, body, extra = {}) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? extra : { 'content-type': 'application/json', ...extra }
    const outgoing = http.request({ socketPath: one.socket, method, path, headers, timeout: 10_000 }, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        try {
          resolve({ status: answer.statusCode, json: JSON.parse(Buffer.concat(chunks).toString('utf8')) })
        } catch (error) {
          reject(error)
        }
      })
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')))
    outgoing.on('error', reject)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Waits for a condition. */
export async function until(what, condition, limitMs = 30_000) {
  const deadline = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain until ${what}`)
    await pause(100)
  }
}

/** Whether a member knows another one. */
export async function sees(one, name) {
  return (await get(one, '/v1/peers'))?.peers.some((peer) => peer.name === name) === true
}

/** Null while there is none. */
export function brokerPid() {
  const endpoint = join(alice.home, 'broker', 'endpoint.json')
  return existsSync(endpoint) ? JSON.parse(readFileSync(endpoint, 'utf8')).pid : null
}

/** Null while there is none. */
export function daemonPid(one) {
  const file = join(one.directory, 'pid')
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : null
}

/** SIGKILL. @returns whether there was such a process */
export function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
    return true
  } catch {
    // Already gone: a broker that was killed and is not back yet.
    return false
  }
}

/** Begins a part of the story. */
export function chapter(title) {
  say(`\n-- ${title} ${'-'.repeat(Math.max(0, 74 - title.length))}`)
}

/** Tells. */
export function say(text) {
  console.log(text)
}
