/**
 * Runs what an interruption has to undo. The first SIGINT or SIGTERM fires the signal; when `run` has ended for it, this
 * process ends by the signal that it was sent, as who sent it expects. A second one ends it at once.
 */
export async function interruptible<Result>(run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const stopping = new AbortController()
  let received: NodeJS.Signals | null = null
  const interrupt = (signal: NodeJS.Signals) => {
    received = signal
    stop()
    stopping.abort(new Error('interrupted'))
  }
  const stop = () => {
    for (const name of signals) process.off(name, interrupt)
  }
  for (const name of signals) process.on(name, interrupt)
  try {
    return await run(stopping.signal)
  } catch (error) {
    if (received === null) throw error
    process.kill(process.pid, received)
    return await new Promise(() => undefined)
  } finally {
    stop()
  }
}

const signals = ['SIGINT', 'SIGTERM'] as const
