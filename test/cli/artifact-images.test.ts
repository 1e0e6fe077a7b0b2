/** Packages as OCI image layouts, out and in by the command line. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ImportedImages, PackageList, ShownPackage } from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectSameFiles } from '../artifacts/directory-contents.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)

beforeAll(() => {
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const { pid } = line.json<{ pid: number }>(['daemon', 'start'])
  return () => killIfThere(pid)
}, 60_000)

function pushed(): { readonly id: string; readonly directory: string } {
  const directory = join(scratchDirectory(), 'tree')
  mkdirSync(join(directory, 'deep'), { recursive: true })
  for (const name of ['a', 'deep/b']) writeFileSync(join(directory, name), name.repeat(1000))
  const { package_id: id } = line.json<{ package_id: string }>(['artifact', 'push', directory, '--finalize'])
  return { id, directory }
}

function countPackages(): number {
  return line.json<PackageList>(['artifact', 'list', '--limit', '1000']).packages.length
}

test('a package goes out as an image and comes back with the same files', () => {
  const { id, directory } = pushed()
  const layout = join(scratchDirectory(), 'layout')
  const exported = line.json(['artifact', 'export-oci', id, layout, '--ref', 'v1'])
  expect(exported).toMatchObject({ package_id: id, image_digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) })
  expect(readdirSync(layout).sort()).toEqual(['blobs', 'index.json', 'oci-layout'])
  const { packages } = line.json<ImportedImages>(['artifact', 'import-oci', layout, '--class', 'transient'])
  expect(packages).toMatchObject([{ ref: 'v1', imported_from: expect.stringMatching(/^oci:sha256:/) }])
  const imported = packages[0]?.package_id ?? ''
  const [before, after] = [id, imported].map((one) => line.json<ShownPackage>(['artifact', 'show', one]))
  expect(after).toMatchObject({ status: 'finalized', content_root: before?.content_root, retention_class: 'transient' })
  const out = join(scratchDirectory(), 'out')
  line.json(['artifact', 'pull', imported, out])
  expectSameFiles(out, directory)
})

test('a layout in which one blob is another one gives no package', () => {
  const { id } = pushed()
  const layout = join(scratchDirectory(), 'layout')
  line.json(['artifact', 'export-oci', id, layout])
  const blobs = join(layout, 'blobs/sha256')
  const largest = readdirSync(blobs).find((name) => readFileSync(join(blobs, name)).length === 1000) ?? ''
  writeFileSync(join(blobs, largest), 'x'.repeat(1000))
  const before = countPackages()
  expect(line.problem(['artifact', 'import-oci', layout])).toMatchObject({ code: 'digest_mismatch', exitCode: 65 })
  expect(countPackages()).toBe(before)
})

test('what cannot be written or read says why', () => {
  const { id, directory } = pushed()
  expect(line.problem(['artifact', 'export-oci', id, directory])).toMatchObject({
    code: 'invalid_target',
    exitCode: 65,
  })
  expect(line.problem(['artifact', 'import-oci', directory])).toMatchObject({ code: 'invalid_layout', exitCode: 65 })
  expect(line.problem(['artifact', 'import-oci', '/nonexistent'])).toMatchObject({ exitCode: 65 })
  const open = line.json<ShownPackage>(['artifact', 'create', 'open']).package_id
  const target = join(scratchDirectory(), 'layout')
  expect(line.problem(['artifact', 'export-oci', open, target])).toMatchObject({ code: 'not_finalized', exitCode: 65 })
  expect(existsSync(target)).toBe(false)
})
