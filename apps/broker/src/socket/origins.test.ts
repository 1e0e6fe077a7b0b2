import { expect, test } from 'vitest'
import { originsOf } from './origins.ts'

const loopback = ['ws://127.0.0.1:7520', 'ws://localhost:7520', 'ws://[::1]:7520']
const rows = [
  { host: '127.0.0.1', publicUrls: [], origins: loopback },
  { host: '::1', publicUrls: [], origins: loopback },
  { host: '0.0.0.0', publicUrls: [], origins: loopback },
  { host: '192.0.2.7', publicUrls: [], origins: ['ws://192.0.2.7:7520'] },
  {
    host: '192.0.2.7',
    publicUrls: ['wss://Mesh.Example', 'wss://mesh.example:8443/v1/ws'],
    origins: ['ws://192.0.2.7:7520', 'wss://mesh.example:443', 'wss://mesh.example:8443'],
  },
]

test('a broker answers under its own address, the names of loopback, and its public URLs', () => {
  for (const { host, publicUrls, origins } of rows) {
    expect([...originsOf({ host, port: 7520, scheme: 'ws', publicUrls })].sort(), host).toEqual([...origins].sort())
  }
})

test('a broker with a certificate of its own answers under wss alone', () => {
  expect([...originsOf({ host: '192.0.2.7', port: 7520, scheme: 'wss', publicUrls: [] })]).toEqual([
    'wss://192.0.2.7:7520',
  ])
})

test('a public URL that is none is refused', () => {
  expect(() => originsOf({ host: '::1', port: 1, scheme: 'ws', publicUrls: ['https://mesh.example'] })).toThrow(
    /ws:\/\//,
  )
})
