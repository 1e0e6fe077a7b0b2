/**
 * The log of artifacts as server-sent events: `id` is the number of an event, so that a reader comes back where it was. A
 * slow reader is waited for, holds nothing but its place, and is let go when it takes nothing for too long.
 */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import { eventWriter } from '../artifacts/event-texts.ts'
import { eventStreamCommentMs, eventStreamDrainMsMax, eventStreamRetryMs } from '../limits.ts'

/**
 * Serves until either side ends it.
 *
 * @throws MeshError `too_many_requests`, `database_unavailable`, before anything was answered
 */
export async function serveLog(
  reply: FastifyReply,
  o: { readonly store: ArtifactStore; readonly since: number; readonly stopping: AbortSignal },
): Promise<void> {
  const { since, stopping } = o
  const response = reply.raw
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([stopping, gone.signal])
  const { toJson } = await eventWriter()
  const events = await o.store.use(async (registry) => registry.tailEvents(since, { signal }))
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
      const { sequence, event_type } = step.value
      if (!(await write(response, `id: ${sequence}\nevent: ${event_type}\ndata: ${toJson(step.value)}\n\n`))) break
      next = events.next()
    }
  } finally {
    clearInterval(comments)
    await events.return?.()
    response.end()
  }
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
