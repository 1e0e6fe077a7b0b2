import { MeshError } from '@claudemesh/protocol'
import { brokerConfirmationMsMax } from '../limits.ts'

/**
 * Gives the broker a moment to confirm a wish that is already stored. Whether it does or not, the request has
 * succeeded: the wish is carried out when the broker can be reached, and the answer says what is confirmed so far.
 */
export async function awaitConfirmation(reconcile: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, brokerConfirmationMsMax)
  })
  try {
    await Promise.race([reconcile().catch(ignoreRefusal), patience])
  } finally {
    clearTimeout(timer)
  }
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof MeshError)) throw error
}
