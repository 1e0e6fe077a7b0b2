/**
 * Correlated calls over one connection: each request is answered once, by its response, by time, or by the end of the
 * connection. An answer that comes late or twice is nobody's.
 */
import {
  type Frame,
  findResultFault,
  isErrorCode,
  MeshError,
  type Operation,
  type RequestParams,
  type RequestResult,
} from '@claudemesh/protocol'
import { linkRequestsMax } from '../limits.ts'

interface Waiting {
  readonly op: Operation
  readonly timer: NodeJS.Timeout
  resolve(result: unknown): void
  reject(error: MeshError): void
}

export class Requests {
  readonly #waiting = new Map<string, Waiting>()
  #count = 0

  /**
   * @param o.timeoutMs how long the answer may take
   * @throws MeshError of the response's code, `timeout`, `broker_unavailable` when the connection ends or does not
   *   take the frame, `daemon_busy` when too many calls wait
   */
  call<O extends Operation>(o: {
    readonly op: O
    readonly params: RequestParams<O>
    readonly timeoutMs: number
    readonly send: (frame: Frame<'request'>) => boolean
  }): Promise<RequestResult<O>> {
    const { op, params, timeoutMs, send } = o
    if (this.#waiting.size >= linkRequestsMax) {
      return Promise.reject(new MeshError('daemon_busy', { detail: 'too many requests wait for the broker' }))
    }
    this.#count += 1
    const requestId = String(this.#count)
    return new Promise<RequestResult<O>>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#take(requestId)?.reject(new MeshError('timeout', { detail: `the broker did not answer ${op} in time` }))
      }, timeoutMs)
      // `settle` checks a result against the schema of `op` before it resolves with it.
      const waiting = { op, timer, resolve: resolve as (result: unknown) => void, reject }
      this.#waiting.set(requestId, waiting)
      if (send({ type: 'request', request_id: requestId, op, params })) return
      this.#take(requestId)?.reject(new MeshError('broker_unavailable'))
    })
  }

  /** @returns the fault of a result that does not fit its operation, else null */
  settle(response: Frame<'response'>): string | null {
    const waiting = this.#take(response.request_id)
    if (waiting === null) return null
    if (response.status >= 300) {
      waiting.reject(toError(response))
      return null
    }
    const fault = findResultFault(waiting.op, response.result)
    if (fault === null) {
      waiting.resolve(response.result)
      return null
    }
    const detail = `the broker's answer to ${waiting.op} does not fit: ${fault}`
    waiting.reject(new MeshError('invalid_frame', { detail }))
    return detail
  }

  /** Ends every call: the connection is gone. */
  abandon(): void {
    for (const requestId of [...this.#waiting.keys()]) {
      this.#take(requestId)?.reject(new MeshError('broker_unavailable'))
    }
  }

  #take(requestId: string): Waiting | null {
    const waiting = this.#waiting.get(requestId)
    if (waiting === undefined) return null
    clearTimeout(waiting.timer)
    this.#waiting.delete(requestId)
    return waiting
  }
}

function toError(response: Frame<'response'>): MeshError {
  const { code, status } = response
  const detail = response.detail ?? `the broker answered ${status}${code === undefined ? '' : ` ${code}`}`
  return isErrorCode(code)
    ? new MeshError(code, { detail })
    : new MeshError('internal_error', { detail, data: { broker_status: status, broker_code: code ?? null } })
}
