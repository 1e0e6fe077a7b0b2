/** What the cases of the contract share: a store under test, and how it is filled and read. */
import assert from 'node:assert/strict'
import type { NewPackage } from '../../registry/packages.ts'
import type { Registry } from '../../registry/registry.ts'
import type { ConformanceCase } from '../storage-backend.ts'

/** A store under test, and the clock that it was opened with. */
interface Subject {
  readonly registry: Registry
  readonly clock: { now: number }
}

export type RegistryCase = ConformanceCase<Subject>

export const hello = Buffer.from('hello, artifacts')
export const actor = 'local'
export const dayMs = 86_400_000

export async function* bytesOf(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
}

export async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export const draft: NewPackage = { name: 'report', producer: 'suite', retentionClass: 'transient', actor }

export async function make(registry: Registry, o: Partial<NewPackage> = {}): Promise<string> {
  return (await registry.createPackage({ ...draft, ...o })).packageId
}

export function add(
  registry: Registry,
  packageId: string,
  path: string,
  bytes: Uint8Array = hello,
  o: { replace?: boolean } = {},
) {
  const place = { relativePath: path, mediaType: 'text/plain', actor, ...o }
  return registry.ingestFile(packageId, { ...place, source: bytesOf(bytes) })
}

export const code = (expected: string, reason?: string) => (error: unknown) => {
  const { code, reason: found } = error as { readonly code?: string; readonly reason?: string }
  assert.equal(code, expected)
  if (reason !== undefined) assert.equal(found, reason)
  return true
}

export async function assertViewsAgree(registry: Registry): Promise<void> {
  const before = await registry.viewStateDigest()
  assert.equal((await registry.checkViews()).agree, true)
  await registry.replay()
  assert.equal(await registry.viewStateDigest(), before)
}
