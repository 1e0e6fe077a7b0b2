/** What a frame costs until it is answered. */
export interface FrameCost {
  readonly messages: number
  readonly bytes: number
  readonly requests: number
}

export function addCosts(left: FrameCost, right: FrameCost, sign: 1 | -1): FrameCost {
  return {
    messages: left.messages + sign * right.messages,
    bytes: left.bytes + sign * right.bytes,
    requests: left.requests + sign * right.requests,
  }
}
