/** What a broker says of itself to whoever asks from outside. */
import { type BrokerEndpoint, readBrokerEndpoint } from './data-directory.ts'

export interface BrokerStatus extends BrokerEndpoint {
  /** The process answers. */
  readonly alive: boolean
  /** Its database answers too. */
  readonly ready: boolean
}

const answerMsMax = 2_000

/** The state of the broker that runs on a directory; null when none does. */
export async function brokerStatus(data: string): Promise<BrokerStatus | null> {
  const endpoint = readBrokerEndpoint(data)
  if (endpoint === null) return null
  const [alive, ready] = await Promise.all([isOk(endpoint.url, '/healthz'), isOk(endpoint.url, '/readyz')])
  return { ...endpoint, alive, ready }
}

async function isOk(url: string, path: string): Promise<boolean> {
  const address = new URL(path, url.replace(/^ws/, 'http'))
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(answerMsMax) })
    return response.ok
  } catch {
    // Nobody answers: that is the answer.
    return false
  }
}
