// Puts objects into a local backend, one after the other, and prints each address when it has its receipt. Arguments:
// root, how many, how many bytes each has. With a fourth argument each is deleted again, and `deleted` printed.
import { randomBytes } from 'node:crypto'
import { Backends, formatContentAddress, InProcessDataPlane, LocalBackend } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'

const [root, count, bytes, deleting] = process.argv.slice(2)
const backend = await LocalBackend.open({ backendId: 'local', root, now: Date.now, nextId: createIdSource(Date.now) })
const backends = new Backends()
backends.register(backend)
const plane = new InProcessDataPlane({ backends, backendIdDefault: 'local' })

for (let index = 0; index < Number(count); index += 1) {
  const { primary } = await plane.ingestStream([randomBytes(Number(bytes))])
  const address = formatContentAddress(primary)
  console.log(address)
  if (deleting !== undefined) {
    await backend.delete(address)
    console.log(`deleted ${address}`)
  }
}
backend.close()
