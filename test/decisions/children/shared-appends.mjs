// Appends decisions to a space that other processes append to as well, four at a time, and prints the intent of each when it
// is acknowledged, and the time of that; at the end the head, and a digest of the log as this process reads it. Arguments: path of the repository,
// space, name of the holder, how many decisions, the term of a lease in milliseconds.
import { createHash } from 'node:crypto'
import { encodeEvent, SharedDecisionLog } from '@claudemesh/decisions'

const [path, space, name, count, termMs] = process.argv.slice(2)
const holder = `${name}.${process.pid}`
const log = await SharedDecisionLog.open({ path, holder, termMs: Number(termMs), waitMsMax: 300_000 })
let next = 0
const work = async () => {
  while (next < Number(count)) {
    const intentId = `${name}/${next}`
    next += 1
    await log.append(space, [{ kind: 'note', actor: name, payload: { text: intentId, refs: [] } }], { intentId })
    console.log(`${intentId} ${process.hrtime.bigint()}`)
  }
}
await Promise.all([work(), work(), work(), work()])
await log.close()
console.log('appended')
// Until the test says that all of them have.
await new Promise((resolve) => process.stdin.once('data', resolve))
const reading = await SharedDecisionLog.open({ path, holder })
const digest = createHash('sha256')
for await (const event of reading.events(space)) digest.update(encodeEvent(event))
console.log(`digest ${digest.digest('hex')}`)
await reading.close()
process.exit(0)
