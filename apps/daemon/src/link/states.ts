/**
 * The life of the link to the broker.
 *
 *                 start                opened              challenged            welcomed              agreed
 *     stopped ───────────► connecting ───────► challenged? ─────────► greeting ───────────► negotiating ─────► open
 *        ▲                  ▲      │                │                    │                      │               │
 *        │ stop             │timer │                └────────┬───────────┴──────────────────────┴───────────────┘
 *        │                  │      ▼                         │ we end it: refusal, time over, violation, stop
 *        ├───────────── waiting ◄──┼─────────────────────────▼
 *        ├──────────── conflicted ◄┤◄──────────────────── closing
 *        └─────────────── failed ◄─┘   the socket is gone
 *
 * | state              | what holds                                                                    |
 * |--------------------|-------------------------------------------------------------------------------|
 * | stopped            | no socket, no timer                                                           |
 * | connecting         | a socket that is not open yet                                                 |
 * | awaiting_challenge | an open socket; nothing was sent                                              |
 * | greeting           | the hello is out; the broker has not said who we are to it                    |
 * | negotiating        | the broker knows us; what it can do is not known yet                          |
 * | open               | the agreement stands; the only state in which messages travel                 |
 * | closing            | we have ended it and wait for the socket to be gone; nothing is taken from it |
 * | waiting            | no socket; a timer leads to the next attempt                                  |
 * | conflicted         | as waiting, because another host uses the identity                            |
 * | failed             | no socket, no timer; trying again would meet the same answer                  |
 */
import type { BrokerFrame } from '@claudemesh/protocol'
import type { Log } from '../log.ts'

export type LinkState =
  | 'stopped'
  | 'connecting'
  | 'awaiting_challenge'
  | 'greeting'
  | 'negotiating'
  | 'open'
  | 'closing'
  | 'waiting'
  | 'conflicted'
  | 'failed'

/** Where a link can be when its socket is gone. */
const withoutSocket = ['waiting', 'conflicted', 'failed', 'stopped'] as const satisfies readonly LinkState[]

/** From each state, the states that may follow. */
export const linkMoves: { readonly [from in LinkState]: readonly LinkState[] } = {
  stopped: ['connecting'],
  connecting: ['awaiting_challenge', 'closing', ...withoutSocket],
  awaiting_challenge: ['greeting', 'closing', ...withoutSocket],
  greeting: ['negotiating', 'closing', ...withoutSocket],
  negotiating: ['open', 'closing', ...withoutSocket],
  open: ['closing', ...withoutSocket],
  closing: withoutSocket,
  waiting: ['connecting', 'stopped'],
  conflicted: ['connecting', 'stopped'],
  failed: ['stopped'],
}

/** Where the link is. `enter` is the only way on, and says so in the log. */
export class LinkLife {
  readonly #log: Log
  #state: LinkState = 'stopped'

  constructor(log: Log) {
    this.#log = log
  }

  get state(): LinkState {
    return this.#state
  }

  /** @throws Error when the move is not in the table: a mistake of ours */
  enter(to: LinkState, detail: Readonly<Record<string, unknown>> = {}): void {
    const from = this.#state
    if (!linkMoves[from].includes(to)) throw new Error(`the link cannot go from ${from} to ${to}`)
    const isOfNote = to === 'open' || from === 'open' || to === 'conflicted'
    this.#log[isOfNote ? 'info' : 'debug']({ from, to, ...detail }, 'link_state')
    this.#state = to
  }
}

/** In which state a frame is expected; an `error` is possible in each. */
export const expectedIn: { readonly [T in BrokerFrame['type']]: LinkState | 'any' } = {
  challenge: 'awaiting_challenge',
  welcome: 'greeting',
  feature_negotiation_response: 'negotiating',
  send_results: 'open',
  deliver: 'open',
  receipts: 'open',
  response: 'open',
  event: 'open',
  error: 'any',
}
