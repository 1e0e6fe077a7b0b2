import { expect, test } from 'vitest'
import { compareVersions } from './versions.ts'

const same = { commandLine: '1.2.3', node: '20.19.0', daemon: '1.2.3', broker: '1.2.3' }

const rows: readonly { name: string; differs: Partial<Parameters<typeof compareVersions>[0]>; found: string[] }[] = [
  { name: 'all of one release', differs: {}, found: [] },
  { name: 'no daemon and no broker', differs: { daemon: null, broker: null }, found: [] },
  { name: 'a broker and no daemon', differs: { daemon: null, broker: '0.1.0' }, found: [] },
  { name: 'a Node that is too old', differs: { node: '20.18.9' }, found: ['node_too_old'] },
  { name: 'a Node of another line', differs: { node: '18.20.4' }, found: ['node_too_old'] },
  { name: 'a newer Node', differs: { node: '24.0.0' }, found: [] },
  { name: 'a daemon from before an update', differs: { daemon: '1.2.2' }, found: ['daemon_older'] },
  { name: 'a daemon that is newer', differs: { daemon: '1.10.0', broker: '1.10.0' }, found: ['daemon_newer'] },
  { name: 'a broker of another patch', differs: { broker: '1.2.9' }, found: [] },
  { name: 'a broker of an older release', differs: { broker: '1.1.9' }, found: ['broker_older'] },
  { name: 'a broker of a newer release', differs: { broker: '2.0.0' }, found: ['broker_newer'] },
  { name: 'a broker that says no version', differs: { broker: 'home made' }, found: ['broker_older'] },
  { name: 'a version with a suffix', differs: { commandLine: '1.2.3-rc.1' }, found: [] },
]

for (const { name, differs, found } of rows) {
  test(`${name}: ${found.length === 0 ? 'nothing is found' : found.join(', ')}`, () => {
    expect(compareVersions({ ...same, ...differs }).map(({ code }) => code)).toEqual(found)
  })
}
