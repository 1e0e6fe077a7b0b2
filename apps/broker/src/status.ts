/** What a broker says of itself to whoever asks from outside. */
import { get as getPlain } from 'node:http'
import { get as getTls } from 'node:https'
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

/** Its certificate is made for other names than that of this host, and proves nothing to somebody who reads its files. */
function isOk(url: string, path: string): Promise<boolean> {
  const address = new URL(path, url.replace(/^ws/, 'http'))
  const options = { signal: AbortSignal.timeout(answerMsMax), rejectUnauthorized: false }
  return new Promise((resolve) => {
    const request = (address.protocol === 'https:' ? getTls : getPlain)(address, options, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    // Nobody answers: that is the answer.
    request.on('error', () => resolve(false))
  })
}
