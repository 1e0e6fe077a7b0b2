import { expect, test } from 'vitest'
import { addressOf, readProxies } from './peer-address.ts'

const rows = [
  {
    what: 'without trusted proxies the header says nothing',
    proxies: [],
    peer: '192.0.2.1',
    forwarded: '10.0.0.1',
    is: '192.0.2.1',
  },
  { what: 'a proxy says who came', proxies: ['127.0.0.1'], peer: '127.0.0.1', forwarded: '192.0.2.9', is: '192.0.2.9' },
  {
    what: 'in its IPv6 form too',
    proxies: ['127.0.0.1'],
    peer: '::ffff:127.0.0.1',
    forwarded: '192.0.2.9',
    is: '192.0.2.9',
  },
  {
    what: 'what a client claims before it is not believed',
    proxies: ['127.0.0.1'],
    peer: '127.0.0.1',
    forwarded: '1.2.3.4, 192.0.2.9',
    is: '192.0.2.9',
  },
  {
    what: 'proxies in a row are passed over',
    proxies: ['10.0.0.0/8'],
    peer: '10.0.0.1',
    forwarded: '192.0.2.9, 10.0.0.2',
    is: '192.0.2.9',
  },
  {
    what: 'a proxy that says nothing is the peer',
    proxies: ['10.0.0.0/8'],
    peer: '10.0.0.1',
    forwarded: undefined,
    is: '10.0.0.1',
  },
  { what: 'networks of IPv6', proxies: ['fd00::/8'], peer: 'fd00::1', forwarded: '2001:db8::1', is: '2001:db8::1' },
] as const

for (const { what, proxies, peer, forwarded, is } of rows) {
  test(what, () => {
    const trusted = readProxies(proxies)
    expect(trusted).not.toBeNull()
    if (trusted === null) return
    const request = { socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': forwarded } }
    expect(addressOf(request, trusted)).toBe(is)
  })
}

test.each(['proxy.example', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/8/8', ''])('%j is no proxy', (text) => {
  expect(readProxies([text])).toBeNull()
})
