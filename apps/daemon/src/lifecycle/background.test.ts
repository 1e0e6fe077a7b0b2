import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DiskWatch } from './disk-watch.ts'
import { Housekeeping } from './housekeeping.ts'

const log = pino({ level: 'silent' })
let directory = ''
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/cm-watch-`)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const known = () => ({ directory: '', bytes: 0 })

test('a change of the pressure is told once, in either direction, and what holds at the start too', () => {
  const told: string[] = []
  let budgetBytes = 1024 * 1024
  writeFileSync(`${directory}/file`, Buffer.alloc(900 * 1024, 1))
  const disk = new DiskWatch({
    directory,
    known,
    budgetBytes: () => budgetBytes,
    log,
    onChange: (each) => told.push(each),
  })
  expect([disk.pressure, told]).toEqual(['high', []])
  disk.start()
  disk.measure()
  expect(told).toEqual(['high'])
  writeFileSync(`${directory}/more`, Buffer.alloc(100 * 1024, 1))
  disk.measure()
  disk.measure()
  expect([disk.pressure, told]).toEqual(['full', ['high', 'full']])
  budgetBytes = 1024 * 1024 * 1024
  disk.measure()
  expect(told).toEqual(['high', 'full', 'ok'])
  disk.stop()
})

test('a disk that cannot be measured keeps its last measurement', () => {
  const disk = new DiskWatch({ directory, known, budgetBytes: () => null, log, onChange: () => undefined })
  const before = disk.latest
  rmSync(directory, { recursive: true })
  disk.measure()
  expect(disk.latest).toBe(before)
})

test('each chore is done to its end, and one that fails holds back no other', async () => {
  let rows = 25
  const done: string[] = []
  const housekeeping = new Housekeeping({
    chores: [
      {
        name: 'broken',
        step: () => {
          done.push('broken')
          throw new Error('the disk refused')
        },
      },
      {
        name: 'rows',
        step: () => {
          const removed = Math.min(10, rows)
          rows -= removed
          done.push('rows')
          return { removed, hasMore: removed === 10 }
        },
      },
    ],
    log,
  })
  housekeeping.start()
  await Promise.all([housekeeping.round(), housekeeping.round()])
  expect([rows, done]).toEqual([0, ['broken', 'rows', 'rows', 'rows']])
  await housekeeping.stop()
})

test('housekeeping that is stopped finishes its step and no more', async () => {
  let steps = 0
  const endless = {
    name: 'endless',
    step: () => {
      steps += 1
      return { removed: 1, hasMore: true }
    },
  }
  const housekeeping = new Housekeeping({ chores: [endless], log })
  housekeeping.start()
  const round = housekeeping.round()
  await housekeeping.stop()
  await round
  expect(steps).toBeLessThanOrEqual(1)
})
