// Appends one decision under a lease, and takes the lease over as somebody else. Arguments: path of the repository, space.
import { GitDecisionLog } from '@claudemesh/decisions'

const [path, space] = process.argv.slice(2)
const log = await GitDecisionLog.open({ path })
const request = (holder) => ({ holder, socket: null, termMs: 3_600_000 })
const lease = await log.leases.acquire(space, request('one'))
const draft = { kind: 'note', actor: 'one', payload: { text: 'decided', refs: [] } }
await log.append(space, [draft], { intentId: 'a', lease })
await log.seizeLease(space, 'operator', request('two'))
console.log('seized')
log.close()
