// Does to files what a program may do, with and without what makes it durable, and says when each step was over.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const [directory] = process.argv.slice(2)
const at = (name) => join(directory, name)
const steps = {
  written() {
    writeFileSync(at('new'), 'one')
  },
  synced: () => sync(at('new')),
  named: () => sync(directory),
  replaced() {
    writeFileSync(at('temporary'), 'two')
    sync(at('temporary'))
    renameSync(at('temporary'), at('new'))
  },
  replacement_named: () => sync(directory),
  nested() {
    mkdirSync(at('folder/below'), { recursive: true })
    writeFileSync(at('folder/below/file'), 'deep')
    sync(at('folder/below/file'))
    sync(at('folder/below'))
  },
  folders_named() {
    sync(at('folder'))
    sync(directory)
  },
  appended() {
    const descriptor = openSync(at('new'), 'a')
    writeSync(descriptor, Buffer.alloc(20_000, 'x'))
    closeSync(descriptor)
  },
}
for (const [name, step] of Object.entries(steps)) {
  step()
  process.stdout.write(`${name} ${process.hrtime.bigint()}\n`)
}

function sync(path) {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
