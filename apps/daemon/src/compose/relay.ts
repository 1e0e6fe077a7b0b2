/** Part of the composition root: the client of the broker's relay, loaded when something is shared and not before. */
import { relaySilenceMsMax } from '../limits.ts'
import type { Link } from '../link/link.ts'
import type { Log } from '../log.ts'
import type { RelayClient } from '../relay/relay-client.ts'
import type { Runtime } from '../runtime.ts'
import type { BlobRelay } from '../shares/blob-relay.ts'

export interface LazyRelay extends BlobRelay {
  /** Ends what is under way. */
  close(): Promise<void>
}

export function composeRelay(o: {
  readonly brokerUrl: string
  readonly request: Link['request']
  readonly runtime: Runtime
  readonly log: Log
}): LazyRelay {
  const { brokerUrl, request, runtime, log } = o
  let opening: Promise<RelayClient> | null = null
  const client = () => {
    opening ??= import('../relay/relay-client.ts').then(
      ({ RelayClient }) =>
        new RelayClient({ brokerUrl, request, silenceMsMax: relaySilenceMsMax, random: runtime.random, log }),
    )
    return opening
  }
  return {
    upload: async (blob, options) => (await client()).upload(blob, options),
    download: async function* (blob, options) {
      yield* (await client()).download(blob, options)
    },
    acknowledge: async (address) => (await client()).acknowledge(address),
    close: async () => (await opening)?.close(),
  }
}
