/** A log of a daemon whose events have numbers, as a reader of its stream sees it. */
import http from 'node:http'

export interface LogReader {
  /** Numbers of the events so far. */
  ids(): number[]
  data(): unknown[]
  hasEnded(): boolean
  leave(): void
}

/** Follows it; rejects when that is refused. */
export function followLog(
  socketPath: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<LogReader> {
  return new Promise((resolve, reject) => {
    const outgoing = http.get(
      { socketPath, path, headers: { accept: 'text/event-stream', ...headers }, agent: false },
      (answer) => {
        if (answer.statusCode !== 200) {
          answer.resume()
          reject(new Error(`not followed: ${answer.statusCode}`))
          return
        }
        let text = ''
        let ended = false
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          text += chunk
        })
        answer.on('close', () => {
          ended = true
        })
        // Leaving breaks it off; `close` follows.
        answer.on('error', () => undefined)
        const events = () =>
          text
            .split('\n\n')
            .slice(0, -1)
            .filter((block) => block.includes('\ndata: '))
        resolve({
          ids: () => events().map((block) => Number(/^id: (\d+)/.exec(block)?.[1])),
          data: () => events().map((block) => JSON.parse(block.slice(block.indexOf('\ndata: ') + 7))),
          hasEnded: () => ended,
          leave: () => outgoing.destroy(),
        })
      },
    )
    outgoing.on('error', reject)
  })
}
