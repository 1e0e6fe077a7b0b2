/** Whether a broker answers, how far its clock is from ours, and how long its certificate is good. No member is needed. */
import http from 'node:http'
import https from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Condition } from '@claudemesh/protocol'
import { formatDuration, formatTime } from '../output/quantity.ts'
import { finding } from './findings.ts'

const answerMsMax = 3_000
/** `Date` counts whole seconds, and the answer has been on its way. */
const skewMsNoted = 30_000
const dayMs = 86_400_000
const expiryMsNoted = 14 * dayMs

interface Answer {
  readonly status: number
  /** When the broker gave it by its own clock; null when it does not say. */
  readonly date: number | null
  /** When its certificate ends; null without TLS. */
  readonly certificateEnds: number | null
}

/**
 * @param o.clockToleranceMs how far two clocks may be apart before certificates are not believed
 */
export async function probeBroker(o: {
  readonly url: string
  readonly clockToleranceMs: number
  readonly now: () => number
}): Promise<readonly Condition[]> {
  const begun = o.now()
  let answer: Answer
  try {
    answer = await ask(o.url)
  } catch (error) {
    return [finding('broker_unreachable', `${o.url}: ${error instanceof Error ? error.message : String(error)}`)]
  }
  const { status, date, certificateEnds } = answer
  return [
    ...(status === 200 ? [] : [finding('broker_not_ready', `${o.url} answers ${status}`)]),
    ...(date === null ? [] : clockFindings(date - (begun + o.now()) / 2, o.clockToleranceMs)),
    ...(certificateEnds === null || certificateEnds - o.now() > expiryMsNoted
      ? []
      : [finding('tls_certificate_expires', `at ${formatTime(certificateEnds)}`)]),
  ]
}

/** @param aheadMs the broker's clock before ours */
function clockFindings(aheadMs: number, toleranceMs: number): readonly Condition[] {
  const awayMs = Math.abs(aheadMs)
  if (awayMs < skewMsNoted) return []
  const detail = `the broker's is ${formatDuration(awayMs)} ${aheadMs > 0 ? 'ahead' : 'behind'}`
  return [finding(awayMs < toleranceMs ? 'clock_differs' : 'clock_far_off', detail)]
}

function ask(brokerUrl: string): Promise<Answer> {
  const url = new URL('/readyz', brokerUrl.replace(/^ws/, 'http'))
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).get(url, { agent: false }, (response) => {
      response.resume()
      const date = Date.parse(response.headers.date ?? '')
      resolve({
        status: response.statusCode ?? 0,
        date: Number.isNaN(date) ? null : date,
        certificateEnds: url.protocol === 'https:' ? endOfCertificate(response.socket as TLSSocket) : null,
      })
    })
    request.setTimeout(answerMsMax, () => request.destroy(new Error(`no answer within ${answerMsMax / 1000} s`)))
    request.on('error', reject)
  })
}

function endOfCertificate(socket: TLSSocket): number | null {
  const ends = Date.parse(socket.getPeerCertificate().valid_to ?? '')
  return Number.isNaN(ends) ? null : ends
}
