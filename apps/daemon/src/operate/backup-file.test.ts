import { daemonPaths, MeshError } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { type PartName, packBackup, partNames, partPath, unpackBackup } from './backup-file.ts'

const facts = { slug: 'home', mesh_id: 'mesh', member_id: 'member', name: 'alice', created_at: 5 }

test('what is packed comes back as it was, empty parts too', () => {
  const parts = new Map<PartName, Buffer>([
    ['keypair', Buffer.from('{}')],
    ['daemon-config', Buffer.alloc(0)],
    ['outbox', Buffer.from([0, 255, 10])],
  ])
  const content = unpackBackup(packBackup({ facts, parts }))
  expect(content.facts).toEqual(facts)
  expect([...content.parts]).toEqual([...parts])
})

const packed = packBackup({ facts, parts: new Map([['mesh' as const, Buffer.from('abc')]]) })
const header = (change: (text: string) => string) => {
  const text = Buffer.from(change(packed.toString('utf8', 4, packed.length - 3)), 'utf8')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text, packed.subarray(-3)])
}
const broken: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['three bytes', Buffer.alloc(3)],
  ['a header that is cut short', packed.subarray(0, 20)],
  ['parts that are cut short', packed.subarray(0, -1)],
  ['a byte too many', Buffer.concat([packed, Buffer.from('x')])],
  ['a part of a name that leads elsewhere', header((text) => text.replace('"mesh","bytes"', '"../../etc","bytes"'))],
  ['a slug that is none', header((text) => text.replace('"home"', '"../up"'))],
  ['another version', header((text) => text.replace('"version":1', '"version":2'))],
]

for (const [what, bytes] of broken) {
  test(`${what} is no backup`, () => {
    expect(() => unpackBackup(bytes)).toThrow(MeshError)
  })
}

test('every part has a place of its own in the home', () => {
  const paths = daemonPaths('/home', 'team')
  const places = partNames.map((name) => partPath(name, { home: '/home', slug: 'team', paths }))
  expect(new Set(places).size).toBe(partNames.length)
  expect(places.every((place) => place.startsWith('/home/'))).toBe(true)
  expect(partNames.at(-1), 'what makes the member exist is written last').toBe('mesh')
})
