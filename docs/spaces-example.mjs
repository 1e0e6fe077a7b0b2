// Decides a few things in a space, asks what holds and why, and what held before.
//
//   node docs/spaces-example.mjs [repository of git]
//
// Without a repository the space is in memory. With one, run it twice: what was decided is there, and nothing is decided anew.
import { openSpace } from '@claudemesh/decisions'

const [repository] = process.argv.slice(2)
const actor = 'ada'
const space = await openSpace({ space: 'plans', ...(repository === undefined ? {} : { repository }) })

// The same intent again gives the events that it made the first time.
const [first] = await space.decide([{ kind: 'state', actor, payload: { key: 'database', value: 'sqlite' } }], {
  intentId: 'choose-database',
})
console.log(`decision ${first.seq} of ${first.space}`)

await space.decide(
  [
    { kind: 'state', actor, payload: { key: 'database', value: 'postgres' } },
    { kind: 'note', actor, payload: { text: 'One file was not enough for three brokers.', refs: [first.event_id] } },
    { kind: 'alias', actor, payload: { name: 'db', target: 'database' } },
  ],
  { intentId: 'outgrow-database' },
)

console.log(`database is ${await space.get('db')}`)
console.log(`it was ${(await space.stateAt(1)).state.database.value}`)
for (const { seq, kind, payload } of (await space.why('db')).decisions) {
  console.log(`because of decision ${seq}: ${kind} ${JSON.stringify(payload)}`)
}

await space.close()
