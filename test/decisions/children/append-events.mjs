// Appends decisions to a space in a repository, the given number at a time, and prints the intent of each when it is
// acknowledged, and the time of that. Arguments: path of the repository, space, prefix of the intents, how many rounds, how many in each.
import { GitDecisionLog } from '@claudemesh/decisions'

const [path, space, prefix, rounds, concurrent] = process.argv.slice(2)
const log = await GitDecisionLog.open({ path })
console.log('open')
for (let round = 0; round < Number(rounds); round += 1) {
  await Promise.all(
    Array.from({ length: Number(concurrent) }, async (_, place) => {
      const intentId = `${prefix}/${round}/${place}`
      const value = { round, place, text: 'x'.repeat(place * 100) }
      await log.append(space, [{ kind: 'state', actor: 'child', payload: { key: intentId, value } }], { intentId })
      console.log(`${intentId} ${process.hrtime.bigint()}`)
    }),
  )
}
log.close()
