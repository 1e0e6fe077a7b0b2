// The history of one member as Parquet: killed in the middle, run again, and counted by another reader than the writer.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { root } from '../prepare.mjs'
import { alice, claudemesh, daemonPid, kill, place, say, shown } from './members.mjs'

/** Long enough for an export to have begun. */
const killAfterMs = 150

/** Exports everything; throws unless each row is there once. */
export async function exportHistory() {
  const directory = join(place, 'exports')
  shown(alice, ['sink', 'add', 'demo', `file://${directory}`, '--schedule', '0 3 * * *'])
  const run = spawn(process.execPath, [join(root, 'apps/cli/bin/claudemesh.js'), 'sink', 'run', 'demo'], {
    env: { ...process.env, CLAUDEMESH_HOME: alice.home },
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => run.once('exit', resolve))
  await pause(killAfterMs)
  const pid = daemonPid(alice)
  if (pid !== null && kill(pid)) say('$ claudemesh sink run demo\n  SIGKILL alice')
  await ended
  claudemesh(alice, ['daemon', 'start'])
  shown(alice, ['sink', 'run', 'demo'])
  const files = parquetFiles(directory)
  const seqs = (await Promise.all(files.map((file) => readSeqs(join(directory, file))))).flat()
  const { partitions } = JSON.parse(claudemesh(alice, ['history', 'stats', '--json']))
  const acknowledged = partitions.reduce((sum, { rows, waiting_rows: waiting }) => sum + rows - waiting, 0)
  const different = new Set(seqs).size
  if (different !== seqs.length || seqs.length !== acknowledged || acknowledged === 0) {
    throw new Error(`${seqs.length} rows exported, ${different} of them different, ${acknowledged} acknowledged`)
  }
  say(`${seqs.length} rows in ${files.length} files, each once, and none that was acknowledged is missing.`)
}

function parquetFiles(directory) {
  return readdirSync(directory, { recursive: true }).filter((name) => name.endsWith('.parquet'))
}

/** Read by Apache Arrow in Rust. */
async function readSeqs(path) {
  const [{ readParquet }, { tableFromIPC }] = await Promise.all([import('parquet-wasm'), import('apache-arrow')])
  const table = tableFromIPC(readParquet(readFileSync(path)).intoIPCStream())
  return table.toArray().map((row) => Number(row.toJSON().seq))
}
