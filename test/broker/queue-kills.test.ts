/** Work while the broker is killed again and again: nothing is lost, and nothing that was acknowledged is given out again. */
import type { QueueItem } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort } from '../support/mesh.ts'
import { freshDatabase } from '../support/postgres.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { jobs, settle, take } from '../support/raw-work.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const engines: readonly { readonly name: string; readonly where: () => Promise<readonly string[]> }[] = [
  { name: 'SQLite', where: async () => ['--data', `${scratchDirectory()}/broker`] },
  { name: 'PostgreSQL', where: async () => ['--database-url', await freshDatabase()] },
]

for (const { name, where } of engines) {
  test(`killed under load, all work is done, and none that was acknowledged comes again (${name})`, {
    timeout: 240_000,
  }, async () => {
    const args = [...(await where()), '--port', String(await findFreePort())]
    let broker = await start(args)
    const { url } = broker
    const mesh = new RawMesh()
    const workers = [mesh.join('w1'), mesh.join('w2'), mesh.join('w3')]
    for (const worker of workers) {
      const member = await RawMember.connect(url, worker)
      await member.request('queues.consume', { queue: 'jobs', max_deliveries: 1_000 })
      await member.close()
    }
    const stop = new AbortController()
    const sending = sendWork(stop.signal, { url, identity: mesh.founder })
    const work = new Work()
    const working = workers.map((identity) => work.doUntilStopped({ url, identity }))
    const kills = 4
    for (let n = 0; n < kills; n += 1) {
      await eventually('work is done', () => work.acknowledged.size > n * 40, { withinMs: 60_000 })
      await broker.process.kill()
      broker = await start(args)
    }
    stop.abort()
    const accepted = await sending
    await eventually('all accepted work is done', () => accepted.every((id) => work.acknowledged.has(id)), {
      withinMs: 90_000,
    })
    work.stop()
    await Promise.all(working)
    expect([...work.acknowledged.keys()].toSorted()).toEqual(accepted.toSorted())
    console.log(`broker kills: ${kills}, done: ${accepted.length}, taken: ${work.taken}`)
  })
}

/** Sends one message after the other, each until it is accepted. @returns their broker message ids */
async function sendWork(stop: AbortSignal, who: { readonly url: string; readonly identity: MemberIdentity }) {
  const accepted: string[] = []
  const connection = new Reconnecting(who)
  while (!stop.aborted) {
    const items = Array.from({ length: 4 }, () => message({ to: jobs, receipts: false }))
    for (let done = false; !done; ) {
      done = await connection.use(async (member) => {
        for (const result of await member.post(items)) {
          if (!('broker_message_id' in result)) throw new Error(`not accepted: ${result.code}`)
          accepted.push(result.broker_message_id)
        }
      })
    }
  }
  connection.end()
  return [...new Set(accepted)]
}

/** What workers have done. */
class Work {
  /** Messages of which the broker has said that they are done, and the lease under which. */
  readonly acknowledged = new Map<string, string>()
  taken = 0
  #stopped = false

  stop(): void {
    this.#stopped = true
  }

  async doUntilStopped(who: { readonly url: string; readonly identity: MemberIdentity }): Promise<void> {
    const connection = new Reconnecting(who)
    while (!this.#stopped) {
      let items: readonly QueueItem[] = []
      await connection.use(async (member) => {
        // A lost answer costs as long as the lease.
        items = await take(member, { limit: 3, lease_ms: 1_500, wait_ms: 500 })
      })
      this.taken += items.length
      // Acknowledged again and again until there is an answer.
      for (let answered = items.length === 0; !answered; ) {
        answered = await connection.use(async (member) => {
          const outcomes = await settle(member, items)
          for (const [index, item] of items.entries()) {
            expect(['done', 'lease_lost']).toContain(outcomes[index])
            if (outcomes[index] === 'done') this.#acknowledge(item)
          }
        })
      }
    }
    connection.end()
  }

  #acknowledge({ broker_message_id: id, lease_id: leaseId }: QueueItem): void {
    expect(this.acknowledged.get(id) ?? leaseId, 'what was acknowledged is not given out again').toBe(leaseId)
    this.acknowledged.set(id, leaseId)
  }
}

/** A member that connects again whenever its connection is gone. */
class Reconnecting {
  readonly #who: { readonly url: string; readonly identity: MemberIdentity }
  #member: RawMember | null = null

  constructor(who: { readonly url: string; readonly identity: MemberIdentity }) {
    this.#who = who
  }

  /** @returns false when the connection was lost on the way, or the broker could not do it now */
  async use(call: (member: RawMember) => Promise<void>): Promise<boolean> {
    try {
      this.#member ??= await RawMember.connect(this.#who.url, this.#who.identity)
      await call(this.#member)
      return true
    } catch (error) {
      if (error instanceof Error && error.name === 'AssertionError') throw error
      this.end()
      return false
    }
  }

  end(): void {
    this.#member?.socket.terminate()
    this.#member = null
  }
}

async function start(args: readonly string[]) {
  const process = new ManagedProcess(['broker', 'start', ...args], {})
  onTestFinished(async () => {
    await process.kill()
  })
  const url = await eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return /broker listening on (\S+)\n/.exec(process.output)?.[1]
  })
  return { process, url }
}
