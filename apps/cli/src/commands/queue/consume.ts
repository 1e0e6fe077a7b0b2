import type { CommandDefinition, Invocation } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { childEnvironment } from '../../environment.ts'
import { type ExitCode, exitCodes } from '../../exit-codes.ts'
import { type Flags, invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { Taker } from '../../work/taker.ts'
import { type Tally, Worker } from '../../work/worker.ts'

const leaseMsDefault = 60_000
const leaseMsMin = 1_000
const leaseMsMax = 12 * 3_600_000
const concurrencyMax = 32
const deliveriesMax = 1_000

export const command: CommandDefinition = {
  summary: 'Do the work of a queue: run a command for each message, which is done when the command ends with 0',
  arguments: [
    { syntax: '<queue>', describe: 'its name; it is made when there is none' },
    {
      syntax: '[command...]',
      describe: 'after --: gets the body on stdin, the rest as CLAUDEMESH_* variables, its trace as TRACEPARENT',
    },
  ],
  options: [
    { syntax: '--lease <duration>', describe: 'how long others wait for this worker once it is gone; default 60s' },
    { syntax: '--concurrency <n>', describe: 'commands that run at once; default 1' },
    { syntax: '--max-deliveries <n>', describe: 'of the queue: how often a message is tried before it is dead' },
    { syntax: '--once', describe: 'end after one message' },
  ],
  examples: [
    {
      line: 'claudemesh queue consume builds --concurrency 4 -- ./build.sh',
      describe: 'until interrupted; what fails goes back and is tried again later, by whoever is free',
    },
    {
      line: 'claudemesh queue consume builds --once --lease 1h',
      describe: 'prints one message as JSON; settle it with `claudemesh queue ack` or `nack`',
    },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [queue, program, ...rest] = args
    if (queue === undefined) throw invalidUsage('the queue is missing')
    const leaseMs = readLease(flags)
    const concurrency = flags.integer('concurrency', { min: 1, max: concurrencyMax })
    const maxDeliveries = flags.integer('max-deliveries', { min: 1, max: deliveriesMax })
    const once = flags.isSet('once')
    if (concurrency !== null && (program === undefined || once)) {
      throw invalidUsage('--concurrency is about commands that run until they are interrupted', 'Leave it out.')
    }
    const onNote = (text: string) => terminal.note(text)
    return await withDaemon(invocation, async ({ queues }) => {
      const taker = new Taker({ queues, queue, leaseMs, maxDeliveries, onNote })
      if (program === undefined) return await printWork(invocation, { taker, once })
      const tally = await runWorker(
        new Worker({
          ...{ taker, queues, leaseMs, once, onNote },
          command: [program, ...rest],
          environment: { ...childEnvironment(invocation.environment.home), CLAUDEMESH_MESH: selectMesh(invocation) },
          concurrency: concurrency ?? 1,
        }),
        onNote,
      )
      onNote(`${tally.done} done, ${tally.returned} returned, ${tally.dead} dead, ${tally.lost} lost`)
      return once && tally.done === 0 ? exitCodes.tryLater : exitCodes.ok
    })
  },
}

function readLease(flags: Flags): number {
  const leaseMs = flags.duration('lease') ?? leaseMsDefault
  if (leaseMs >= leaseMsMin && leaseMs <= leaseMsMax) return leaseMs
  throw invalidUsage('--lease takes from 1s to 12h')
}

/** The first interruption ends it in good order, the second one at once. */
async function runWorker(worker: Worker, onNote: (text: string) => void): Promise<Readonly<Tally>> {
  let interruptions = 0
  const interrupt = () => {
    interruptions += 1
    if (interruptions === 1) onNote('taking nothing more; waiting for what runs (once more to kill it)')
    if (interruptions === 1) worker.stop()
    else worker.abandon()
  }
  return await whileInterrupted(interrupt, () => worker.run())
}

/** Messages as they come, one line each: whoever reads them settles them. */
async function printWork(
  { terminal }: Invocation,
  { taker, once }: { readonly taker: Taker; readonly once: boolean },
): Promise<ExitCode> {
  const stopping = new AbortController()
  return await whileInterrupted(
    () => stopping.abort(),
    async () => {
      await taker.join(stopping.signal)
      for (;;) {
        const message = await taker.take(stopping.signal)
        if (message === null) return exitCodes.ok
        terminal.line(JSON.stringify(message))
        if (once) return exitCodes.ok
      }
    },
  )
}

async function whileInterrupted<Result>(interrupt: () => void, run: () => Promise<Result>): Promise<Result> {
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    return await run()
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}
