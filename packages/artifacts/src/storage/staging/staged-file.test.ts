/** A large file is synced while more of it comes; a sync that fails is never made good by a later one (06 §8). */
import { closeSync, openSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { scratchDirectory } from '../../../../../test/support/scratch-directory.ts'
import { StagedFile } from './staged-file.ts'

/** What every open file of Node has its methods from: the system calls behind them can be made to fail there. */
async function fileMethods(): Promise<FileHandle> {
  const path = join(scratchDirectory(), 'file')
  closeSync(openSync(path, 'w'))
  const handle = await open(path)
  await handle.close()
  onTestFinished(() => void vi.restoreAllMocks())
  return Object.getPrototypeOf(handle) as FileHandle
}

test('is synced behind what is written, and all of it at its end', async () => {
  const methods = await fileMethods()
  const [early, late] = [vi.spyOn(methods, 'datasync'), vi.spyOn(methods, 'sync')]
  const file = await StagedFile.create(join(scratchDirectory(), 'staged'), { syncEvery: 100 })
  for (let index = 0; index < 10; index += 1) await file.write(Buffer.alloc(60))
  expect(early.mock.calls.length).toBeGreaterThan(0)
  await file.finish()
  expect(late).toHaveBeenCalledOnce()
})

test('fails for ever when a sync behind it failed, whatever later ones say', async () => {
  const methods = await fileMethods()
  const late = vi.spyOn(methods, 'sync')
  const failed = Object.assign(new Error('i/o error'), { code: 'EIO', errno: -5 })
  vi.spyOn(methods, 'datasync').mockRejectedValueOnce(failed)
  const file = await StagedFile.create(join(scratchDirectory(), 'staged'), { syncEvery: 10 })
  await file.write(Buffer.alloc(20))
  await expect(file.finish()).rejects.toMatchObject({ code: 'storage_io' })
  await expect(file.write(Buffer.alloc(20))).rejects.toMatchObject({ code: 'storage_io' })
  await expect(file.finish()).rejects.toMatchObject({ code: 'storage_io' })
  expect(late).not.toHaveBeenCalled()
  await file.discard()
})
