// Loaded before a program's own code: its wall clock is off by the milliseconds that a file says.
import { readFileSync } from 'node:fs'

const { SHIFTED_CLOCK_FILE: path } = process.env

if (path !== undefined) {
  const machine = globalThis.Date
  let offset = 0
  const read = () => {
    offset = Number(readFileSync(path, 'utf8'))
  }
  read()
  process.on('SIGUSR2', read)
  class ShiftedDate extends machine {
    constructor(...args) {
      if (args.length === 0) super(machine.now() + offset)
      else super(...args)
    }

    static now() {
      return machine.now() + offset
    }
  }
  globalThis.Date = ShiftedDate
}
