// Proposes two decisions and accepts them, then two more. Arguments: path of the repository, space.
import { GitDecisionLog } from '@claudemesh/decisions'

const [path, space] = process.argv.slice(2)
const log = await GitDecisionLog.open({ path })
const lease = await log.leases.acquire(space, { holder: 'one', socket: null, termMs: 3_600_000 })
const append = (text) => ({
  drafts: [{ kind: 'note', actor: 'one', payload: { text, refs: [] } }],
  o: { intentId: text },
})
for (const [first, second] of [
  ['a', 'b'],
  ['c', 'd'],
]) {
  const { proposal } = await log.proposals.propose(space, [append(first), append(second)], { lease, bytesMax: 9_999 })
  await log.proposals.accept(proposal, lease)
  console.log(second)
}
log.close()
