// Loaded before a program (`node --import`): writes down what the program asks of the file system and how it makes it
// durable, one JSON object a line, in the file that CLAUDEMESH_TEST_FILE_CHANGES names. Read by file-changes.ts.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, resolve } from 'node:path'

const trace = process.env['CLAUDEMESH_TEST_FILE_CHANGES']
const original = { ...fs }
const pathOf = new Map()
const record = original.openSync(trace, 'a')

function note(change) {
  original.writeSync(record, `${JSON.stringify(change)}\n`)
}

/** A removal of a whole directory names what is in it by buffers. */
function name(path) {
  const full = resolve(String(path))
  note({ kind: 'name', path: full, directory: dirname(full) })
}

function written(target) {
  const path = typeof target === 'number' ? pathOf.get(target) : resolve(String(target))
  if (path !== undefined) note({ kind: 'data', path })
}

/** Calls that make, move or remove names, by which of their arguments are the names. */
const naming = { renameSync: [0, 1], rmSync: [0], unlinkSync: [0], mkdirSync: [0], linkSync: [1], symlinkSync: [1] }
for (const [call, places] of Object.entries(naming)) {
  fs[call] = (...args) => {
    const result = original[call](...args)
    // A directory that was there already has not been made.
    if (call !== 'mkdirSync' || result !== undefined) for (const place of places) name(args[place])
    if (call === 'renameSync') note({ kind: 'moved', path: resolve(String(args[1])), from: resolve(String(args[0])) })
    return result
  }
}

fs.openSync = (path, ...rest) => {
  const isNew = !original.existsSync(path)
  const descriptor = original.openSync(path, ...rest)
  pathOf.set(descriptor, resolve(String(path)))
  if (isNew) name(path)
  return descriptor
}

for (const call of ['writeSync', 'writeFileSync', 'appendFileSync', 'ftruncateSync', 'truncateSync']) {
  fs[call] = (target, ...rest) => {
    const isNew = typeof target !== 'number' && !original.existsSync(target)
    const result = original[call](target, ...rest)
    if (isNew) name(target)
    written(target)
    return result
  }
}

for (const call of ['fsyncSync', 'fdatasyncSync']) {
  fs[call] = (descriptor) => {
    original[call](descriptor)
    const path = pathOf.get(descriptor)
    if (path !== undefined) note({ kind: 'synced', path })
  }
}

syncBuiltinESMExports()
