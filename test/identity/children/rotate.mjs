// Begins a rotation of a home's keys, or finishes one, and says which epoch the member is in then.
import { beginRotation, finishRotation, generateMemberKeys } from '@claudemesh/identity'

const [verb, paths, now] = process.argv.slice(2)
const files = JSON.parse(paths)
const rotated =
  verb === 'begin' ? beginRotation(files, { newKeys: generateMemberKeys(), now: Number(now) }) : finishRotation(files)
console.log(rotated === null ? 'nothing to finish' : `epoch ${rotated.chain[0].epoch}`)
