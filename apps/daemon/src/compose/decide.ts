/** Part of the composition root: what is decided together with other members. */
import { limits } from '@claudemesh/protocol'
import { AppendTransmitter } from '../decide/append-transmitter.ts'
import { Authority, type BrokerRequest } from '../decide/authority.ts'
import { CatchUp } from '../decide/catch-up.ts'
import { Proposing } from '../decide/proposing.ts'
import { SharedSpace } from '../decide/shared-space.ts'
import { type OpenedSpace, SharedSpaces } from '../decide/shared-spaces.ts'
import { SpaceClone } from '../decide/space-clone.ts'
import { SpacePost } from '../decide/space-post.ts'
import { Wakes } from '../decide/wakes.ts'
import type { Directory } from '../directory/directory.ts'
import type { BrokerTerms } from '../lifecycle/broker-terms.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import { messageBytesMax } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { Recipients } from '../send/recipients.ts'
import type { Sealer } from '../send/seal.ts'
import type { Spaces } from '../spaces/spaces.ts'

export interface Deciding {
  readonly shared: SharedSpaces
  linkOpened(): void
  /** Ends every wait, and gives all leases up. */
  stop(): Promise<void>
}

export interface DecidingParts {
  readonly stores: Stores
  readonly spaces: Spaces
  readonly request: BrokerRequest
  readonly seal: Sealer['seal']
  readonly recipients: Recipients
  readonly directory: Directory
  readonly terms: BrokerTerms
  readonly leaseTermMs: number
  /** Tells the sender that there is something to send. */
  readonly wakeSender: () => void
  readonly runtime: Runtime
  readonly log: Log
}

export function composeDecide(parts: DecidingParts): Deciding {
  const { stores, spaces, request, recipients, directory, terms, runtime, log } = parts
  const { members, outbox, identity } = stores
  const { memberId: selfId } = identity.meshFile
  const { nextId, monotonicMs, random } = runtime
  const stopping = new AbortController()
  const bytesMax = () => Math.min(terms.inlineBytes, messageBytesMax)
  const post = new SpacePost({ outbox, wake: parts.wakeSender, nextId, bytesMax })
  const send = post.send.bind(post)
  const dropRecipients = recipients.drop.bind(recipients)
  const transmitter = new AppendTransmitter({ request, seal: parts.seal, dropRecipients })
  const nameOf = (memberId: string) => members.findById(memberId)?.name ?? null
  const termMs = Math.min(Math.max(parts.leaseTermMs, limits.spaceTermMsMin), limits.spaceTermMsMax)
  const open = (name: string): OpenedSpace => {
    const wakes = new Wakes()
    const clone = new SpaceClone(name, spaces)
    const authority = new Authority({ space: name, request, termMs, log })
    const catchUp = new CatchUp({ clone, request, send, wakes, selfId, monotonicMs, signal: stopping.signal })
    const common = { clone, authority, wakes, selfId, bytesMax, signal: stopping.signal }
    const proposing = new Proposing({ ...common, transmit: transmitter.transmit.bind(transmitter) })
    return {
      space: new SharedSpace({ ...common, catchUp, proposing, send, nameOf, monotonicMs, random, log }),
      catchUp,
    }
  }
  const shared = new SharedSpaces({
    spaces,
    topics: {
      wants: (topic) => members.findTopic(topic)?.wanted === true,
      wanted: () => members.topics().flatMap(({ name, wanted }) => (wanted ? [name] : [])),
      want: async (topic) => {
        members.setWanted(topic, true)
        // Without a broker it is asked for at the next connection.
        await directory.reconcile().catch(() => undefined)
      },
    },
    open,
    log,
  })
  return {
    shared,
    linkOpened: () => shared.linkOpened(),
    stop: async () => {
      stopping.abort()
      await shared.stop()
    },
  }
}
