/** The correlated calls of a daemon: parameters checked, the operation's handler run, the outcome as a `response`. */
import {
  type ErrorCode,
  type Frame,
  findParamsFault,
  isOperation,
  MeshError,
  type Operation,
} from '@claudemesh/protocol'
import { acknowledgeBlob, downloadBlob, uploadBlob } from './blobs.ts'
import { pageHistory } from './history.ts'
import { leaveMesh } from './leave.ts'
import { listMembers } from './members.ts'
import { setProfile } from './profile.ts'
import { settleWork, takeWork, untakeWork } from './queue-work.ts'
import { consumeQueue, dropDead, leaveQueue, listConsumers, listDead, listQueues, requeueDead } from './queues.ts'
import { reportRead } from './receipts.ts'
import { listRecipients } from './recipients.ts'
import { type Call, type Caller, Postponed, type RequestDependencies, type RequestHandler } from './request-handler.ts'
import { getRevocations, putRevocations } from './revocations.ts'
import { acquireSpace, appendToSpace, findSpaceLease, releaseSpace, renewSpace } from './spaces.ts'
import { listTopics, subscribeTopic, unsubscribeTopic } from './topics.ts'

const handlers: { readonly [O in Operation]: RequestHandler<O> } = {
  'members.list': listMembers,
  'topics.list': listTopics,
  'topics.subscribe': subscribeTopic,
  'topics.unsubscribe': unsubscribeTopic,
  'topics.recipients': listRecipients,
  'members.leave': leaveMesh,
  'profile.set': setProfile,
  'revocations.get': getRevocations,
  'revocations.put': putRevocations,
  'receipts.read': reportRead,
  'history.page': pageHistory,
  'queues.list': listQueues,
  'queues.consume': consumeQueue,
  'queues.leave': leaveQueue,
  'queues.recipients': listConsumers,
  'queues.take': takeWork,
  'queues.untake': untakeWork,
  'queues.settle': settleWork,
  'queues.dead': listDead,
  'queues.requeue': requeueDead,
  'queues.drop': dropDead,
  'blobs.upload': uploadBlob,
  'blobs.download': downloadBlob,
  'blobs.acknowledge': acknowledgeBlob,
  'spaces.lease': findSpaceLease,
  'spaces.acquire': acquireSpace,
  'spaces.renew': renewSpace,
  'spaces.release': releaseSpace,
  'spaces.append': appendToSpace,
}

/** What an operator has decided. */
const nobodysFault: ReadonlySet<ErrorCode> = new Set(['relay_unavailable', 'blob_quota_exceeded'])

/**
 * Never throws what the caller can know: a MeshError becomes a response with its status and code. One that is the
 * broker's own fault is reported as well, since the caller cannot mend it.
 */
export function answerRequest(
  dependencies: RequestDependencies,
  caller: Caller,
  request: Frame<'request'>,
  call: Call,
): Promise<Answer> {
  return answer(dependencies, request, () => run(dependencies, caller, request, call))
}

type Answer = Frame<'response'> | Postponed<Frame<'response'>>

async function answer(
  dependencies: RequestDependencies,
  request: Frame<'request'>,
  serve: () => Promise<unknown>,
): Promise<Answer> {
  try {
    const result = await serve()
    if (result instanceof Postponed) {
      return new Postponed(result.until, (wake) => answer(dependencies, request, () => result.again(wake)))
    }
    return { type: 'response', request_id: request.request_id, status: 200, result }
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    const { status, code, message } = error
    if (status >= 500 && !nobodysFault.has(code)) dependencies.report(error)
    return { type: 'response', request_id: request.request_id, status, code, detail: message.slice(0, 1024) }
  }
}

async function run(
  dependencies: RequestDependencies,
  caller: Caller,
  { op, params }: Frame<'request'>,
  call: Call,
): Promise<unknown> {
  if (!isOperation(op)) throw new MeshError('not_found', { detail: `there is no operation ${op}` })
  const fault = findParamsFault(op, params)
  if (fault !== null) throw new MeshError('invalid_request', { detail: fault })
  // The parameters have just been checked against this operation's schema.
  const handler = handlers[op] as (d: RequestDependencies, c: Caller, p: unknown, call: Call) => Promise<unknown>
  return handler(dependencies, caller, params, call)
}
