/** What an answer of the daemon says beside its body. */
import type { IncomingMessage } from 'node:http'

export function statusOf(answer: IncomingMessage): number {
  return answer.statusCode ?? 0
}

/** @param name in lower case */
export function headerOf(answer: IncomingMessage, name: string): string | null {
  const value = answer.headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? null
}

export function isJson(answer: IncomingMessage): boolean {
  return /^application\/(?:[a-z.-]+\+)?json\b/.test(headerOf(answer, 'content-type') ?? '')
}

/** Reads the body to its end. */
export async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of answer.setEncoding('utf8')) text += part
  return text
}
