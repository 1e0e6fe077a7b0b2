import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { type DiskPressure, judgePressure, measureDisk } from './disk-space.ts'

describe('the pressure', () => {
  const rows: { bounds: [taken: number, size: number][]; pressure: DiskPressure }[] = [
    { bounds: [[0, 100]], pressure: 'ok' },
    { bounds: [[79, 100]], pressure: 'ok' },
    { bounds: [[80, 100]], pressure: 'high' },
    { bounds: [[94, 100]], pressure: 'high' },
    { bounds: [[95, 100]], pressure: 'full' },
    { bounds: [[200, 100]], pressure: 'full' },
    {
      bounds: [
        [10, 100],
        [85, 100],
      ],
      pressure: 'high',
    },
    {
      bounds: [
        [99, 100],
        [0, 100],
      ],
      pressure: 'full',
    },
    { bounds: [[0, 0]], pressure: 'full' },
  ]
  test.each(rows)('of $bounds is $pressure', ({ bounds, pressure }) => {
    expect(judgePressure(bounds.map(([takenBytes, sizeBytes]) => ({ takenBytes, sizeBytes })))).toBe(pressure)
  })
})

describe('measureDisk', () => {
  test('counts every file below the directory', () => {
    const directory = scratchDirectory()
    mkdirSync(join(directory, 'deep'))
    writeFileSync(join(directory, 'one'), Buffer.alloc(100_000, 1))
    writeFileSync(join(directory, 'deep', 'two'), Buffer.alloc(200_000, 1))
    const { usedBytes } = measureDisk({ directory, budgetBytes: null })
    expect(usedBytes).toBeGreaterThanOrEqual(300_000)
    expect(usedBytes).toBeLessThan(400_000)
  })

  const budgets: { budgetBytes: number; pressure: DiskPressure }[] = [
    { budgetBytes: 300_000, pressure: 'full' },
    { budgetBytes: 1, pressure: 'full' },
  ]
  test.each(budgets)('$pressure with a budget of $budgetBytes bytes for 300,000 used', ({ budgetBytes, pressure }) => {
    const directory = scratchDirectory()
    writeFileSync(join(directory, 'one'), Buffer.alloc(300_000, 1))
    const measured = measureDisk({ directory, budgetBytes })
    expect(measured).toMatchObject({ budgetBytes, pressure, availableBytes: 0 })
  })

  test('without a budget tells what the file system has left', () => {
    const directory = scratchDirectory()
    const { bavail, bsize } = statfsSync(directory)
    const { availableBytes, budgetBytes } = measureDisk({ directory, budgetBytes: null })
    expect(budgetBytes).toBeNull()
    expect(Math.abs(availableBytes - bavail * bsize)).toBeLessThan(1024 ** 3)
  })

  test('never promises more than the budget leaves', () => {
    const directory = scratchDirectory()
    writeFileSync(join(directory, 'one'), Buffer.alloc(300_000, 1))
    const measured = measureDisk({ directory, budgetBytes: 1_000_000 })
    expect(measured.availableBytes).toBeLessThanOrEqual(700_000)
    expect(measured.availableBytes).toBeGreaterThan(500_000)
  })
})
