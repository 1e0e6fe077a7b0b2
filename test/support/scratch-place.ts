/**
 * Runs before each file of tests, and says where its temporary files lie. Most tests are about what processes do with files,
 * and would wait for a disk a hundred thousand times to learn nothing from it: theirs are in memory, where a killed process
 * leaves what it leaves on a disk. What is about disks, or takes gigabytes, stays on one.
 */
import { expect, inject } from 'vitest'

const staysOnDisk = /\/test\/(crash|package|power-loss|storage)\/|\/test\/artifacts\/memory\.test\.ts$/

const { disk, memory } = inject('scratchPlaces')
const isOnDisk = memory === null || staysOnDisk.test(expect.getState().testPath ?? '')
process.env['TMPDIR'] = isOnDisk ? disk : memory
