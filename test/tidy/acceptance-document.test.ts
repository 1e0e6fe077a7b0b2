/** docs/artifacts-acceptance.md names tests that are there, and what it says of the repository holds. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { namesOfTests, readText, root } from './sources.ts'

const document = readText('docs/artifacts-acceptance.md')

test('every test that it names is there, by its file and by words of its name', () => {
  const named = [...document.matchAll(/`([\w./-]+\.test\.ts)` "([^"]+)"/g)]
  expect(named.length).toBeGreaterThan(40)
  const missing = named.filter(([, path = '', words = '']) => {
    return !existsSync(join(root, path)) || !namesOfTests(readText(path)).some((name) => name.includes(words))
  })
  expect(missing.map(([found]) => found)).toEqual([])
})

test('every case of the contract that it names is there', () => {
  const named = [...document.matchAll(/case of `([\w./-]+)` "([^"]+)"/g)]
  expect(named.length).toBeGreaterThan(5)
  const missing = named.filter(([, path = '', words = '']) => !readText(path).includes(`name: '${words}'`))
  expect(missing.map(([found]) => found)).toEqual([])
})

test('every dependency is pinned to one version, and every package names the Node that it needs', () => {
  const parts = ['apps', 'packages'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => join(folder, name)),
  )
  const manifests = ['package.json', ...parts.map((part) => join(part, 'package.json'))]
  for (const path of manifests) {
    const { dependencies = {}, devDependencies = {}, optionalDependencies = {}, engines } = JSON.parse(readText(path))
    const versions = Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies })
    expect(
      versions.filter((version) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(String(version))),
      path,
    ).toEqual([])
    expect(engines?.node, path).toBe('>=20.19')
  }
  expect(existsSync(join(root, 'package-lock.json'))).toBe(true)
})

test('the operator page links every decision about artifacts', () => {
  const page = readText('docs/artifacts.md')
  const decisions = readdirSync(join(root, 'docs/decisions/artifacts'))
  expect(decisions.length).toBeGreaterThanOrEqual(6)
  expect(decisions.filter((name) => !page.includes(`decisions/artifacts/${name}`))).toEqual([])
})
