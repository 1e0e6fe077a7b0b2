/** Names that somebody may mean: of the daemon, as long as a person waits for a tab key; of a daemon that is down, none. */
import { type MeshClient, openClient } from '@claudemesh/client'
import type { Environment } from '../environment.ts'
import { listMeshes, selectMesh } from '../mesh-selection.ts'
import type { Candidate, Names } from './candidates.ts'

/** With the start of this process no more than people take for at once. */
const answerMsMax = 250

export function knownNames(o: { readonly environment: Environment; readonly mesh: string | null }): Names {
  const names = {
    members: () =>
      ask(o, async (client) => {
        const { peers } = await client.peers()
        return peers
          .filter(({ status }) => status === 'active')
          .map(({ name, online, self }) => ({ text: name, describe: self ? 'you' : online ? 'online' : 'away' }))
      }),
    topics: () =>
      ask(o, async (client) => {
        const { topics } = await client.topics()
        return topics.map(({ name, wanted }) => ({ text: name, describe: wanted ? 'subscribed topic' : 'topic' }))
      }),
    queues: () =>
      ask(o, async (client) => {
        const { queues } = await client.queues.list()
        return queues.map(({ name, waiting }) => ({ text: name, describe: `queue, ${waiting} waiting` }))
      }),
    meshes: async () => listMeshes(o.environment.home).map((text) => ({ text, describe: 'mesh' })),
  }
  return {
    ...names,
    async destinations() {
      const [members, topics, queues] = await Promise.all([names.members(), names.topics(), names.queues()])
      return [...marked('@', members), ...marked('#', topics), ...marked('queue:', queues)]
    },
  }
}

function marked(mark: string, candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.map(({ text, describe }) => ({ text: mark + text, describe }))
}

async function ask(
  o: { readonly environment: Environment; readonly mesh: string | null },
  question: (client: MeshClient) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const client = openClient({ home: o.environment.home, mesh: selectMesh(o), retryMsMax: 0 })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<readonly Candidate[]>((resolve) => {
    timer = setTimeout(() => resolve([]), answerMsMax)
  })
  try {
    // Whoever completes a word wants no error in the middle of it.
    return await Promise.race([question(client).catch(() => []), late])
  } finally {
    clearTimeout(timer)
    await client.close()
  }
}
