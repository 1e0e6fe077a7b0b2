/** Files in pieces over the socket of a daemon, which may be another one for every piece. */
import { randomBytes } from 'node:crypto'
import type { ArtifactUpload, IngestedArtifactFile } from '@claudemesh/protocol/artifacts'
import { expect, test } from 'vitest'
import { startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'
import { ArtifactsOf } from './daemon-client.ts'

test('an upload goes on where it was, also at the next daemon, and is complete once', async () => {
  const host = foundHome()
  const first = await startDaemon(host)
  let socket = first.daemon.socket
  const artifacts = new ArtifactsOf(() => socket)
  const id = await artifacts.newPackage()
  const bytes = randomBytes(3_000_000)
  const begun = await artifacts.post(`/packages/${id}/uploads`, { relative_path: 'big.bin', size_bytes: bytes.length })
  const { upload_id: upload } = begun.json as ArtifactUpload
  expect([begun.status, begun.headers.location, begun.headers['upload-offset']]).toEqual([
    201,
    `/v1/artifacts/uploads/${upload}`,
    '0',
  ])
  const append = (offset: number, body: Uint8Array) => {
    const headers = { 'upload-offset': String(offset) }
    return artifacts.request({ method: 'PATCH', path: `/uploads/${upload}`, headers, body })
  }
  const appended = await append(0, bytes.subarray(0, 2_000_000))
  expect([appended.status, appended.json]).toMatchObject([200, { offset: 2_000_000, size_bytes: bytes.length }])
  const wrong = await append(7, bytes.subarray(7))
  expect([wrong.status, wrong.json]).toMatchObject([409, { code: 'upload_offset_mismatch', offset: 2_000_000 }])
  expect((await artifacts.post(`/uploads/${upload}/complete`)).json).toMatchObject({ code: 'upload_offset_mismatch' })
  await first.close()

  socket = (await startDaemon(host)).daemon.socket
  const head = await artifacts.request({ method: 'HEAD', path: `/uploads/${upload}` })
  expect([head.status, head.headers['upload-offset'], head.bytes.length]).toEqual([200, '2000000', 0])
  expect((await append(2_000_000, bytes.subarray(2_000_000))).status).toBe(200)
  const complete = () => artifacts.post(`/uploads/${upload}/complete`)
  const [done, again] = [await complete(), await complete()]
  expect([done.status, again.status, again.json]).toEqual([201, 201, done.json])
  const { file_id, content_address } = done.json as IngestedArtifactFile
  expect((await artifacts.get(`/files/${file_id}/download`)).bytes.equals(bytes)).toBe(true)
  expect((await artifacts.get(`/files/${file_id}`)).json).toMatchObject({ content_address, relative_path: 'big.bin' })
})

test('an upload that is dropped, or that gets too many bytes, is there no more', async () => {
  const { daemon } = await startDaemon(foundHome())
  const artifacts = new ArtifactsOf(() => daemon.socket)
  const id = await artifacts.newPackage()
  const begin = async (path: string) => {
    const { json } = await artifacts.post(`/packages/${id}/uploads`, { relative_path: path, size_bytes: 3 })
    return (json as ArtifactUpload).upload_id
  }
  const dropped = await begin('dropped')
  expect((await artifacts.request({ method: 'DELETE', path: `/uploads/${dropped}` })).status).toBe(204)
  expect(await artifacts.refusal({ method: 'GET', path: `/uploads/${dropped}` })).toEqual([404, 'upload_not_found'])
  const overfull = await begin('overfull')
  const patch = { method: 'PATCH', path: `/uploads/${overfull}`, headers: { 'upload-offset': '0' }, body: 'four' }
  expect(await artifacts.refusal(patch)).toEqual([422, 'size_mismatch'])
  expect(await artifacts.refusal(patch)).toEqual([404, 'upload_not_found'])
  const aimless = { ...patch, path: `/uploads/${await begin('aimless')}`, headers: {} }
  expect(await artifacts.refusal(aimless)).toEqual([400, 'invalid_request'])
})
