/**
 * A log as server-sent events: `id` is the number of an event, so that a reader comes back where it was. A slow reader is
 * waited for, holds nothing but its place, and is let go when it takes nothing for too long.
 */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { eventIdPattern, MeshError } from '@claudemesh/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { eventStreamCommentMs, eventStreamDrainMsMax, eventStreamRetryMs } from '../limits.ts'

/** An event as it is written; `data` is one line. */
export interface NumberedEvent {
  readonly id: number
  readonly type: string
  readonly data: string
}

/**
 * Serves until either side ends it.
 *
 * @param o `follow` gives the events after `since`, until its signal aborts
 * @throws whatever `follow` throws before its first event, before anything was answered
 */
export async function serveNumbered(
  reply: FastifyReply,
  o: {
    readonly since: number
    readonly stopping: AbortSignal
    readonly follow: (signal: AbortSignal) => Promise<AsyncIterator<NumberedEvent>>
  },
): Promise<void> {
  const { since, stopping } = o
  const response = reply.raw
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const events = await o.follow(AbortSignal.any([stopping, gone.signal]))
  let next = events.next()
  // Whether it may follow is known before its first event, which may never come.
  await Promise.race([next, nextTurn()])
  reply.hijack()
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write(`retry: ${eventStreamRetryMs}\nid: ${since}\n\n`)
  const comments = setInterval(() => {
    if (!response.writableNeedDrain) response.write(': keep-alive\n\n')
  }, eventStreamCommentMs)
  try {
    for (let step = await next; step.done !== true; step = await next) {
      const { id, type, data } = step.value
      if (!(await write(response, `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`))) break
      next = events.next()
    }
  } finally {
    clearInterval(comments)
    await events.return?.()
    response.end()
  }
}

/** A reader that comes back says where it was in the header. @throws MeshError `invalid_cursor` */
export function cursorOf({ headers }: FastifyRequest, since: number | undefined): number {
  const last = headers['last-event-id']
  if (last === undefined) return since ?? 0
  const cursor = new RegExp(eventIdPattern).test(String(last)) ? Number(last) : Number.NaN
  if (!Number.isSafeInteger(cursor)) throw new MeshError('invalid_cursor')
  return cursor
}

/** @returns false: the reader has gone, or took nothing for too long */
async function write(response: ServerResponse, text: string): Promise<boolean> {
  if (response.write(text)) return true
  const taken = await new Promise<boolean>((resolve) => {
    const settle = (isTaken: boolean) => {
      clearTimeout(timer)
      response.off('drain', onDrain)
      response.off('close', onClose)
      resolve(isTaken)
    }
    const onDrain = () => settle(true)
    const onClose = () => settle(false)
    const timer = setTimeout(() => settle(false), eventStreamDrainMsMax)
    response.on('drain', onDrain)
    response.on('close', onClose)
  })
  if (!taken) response.destroy()
  return taken
}
