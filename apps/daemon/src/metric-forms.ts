/** How a metric is declared: read when somebody asks, from whoever counts it. */
import { Counter, Gauge, type Registry } from 'prom-client'

export type Reading = number | readonly (readonly [labels: Record<string, string>, value: number])[]

interface Declaration {
  readonly name: string
  readonly help: string
  readonly labels?: string[]
  readonly read: () => Reading
}

/** A value that goes up and down, read when it is asked for. */
export function declare(registry: Registry, o: Declaration): void {
  new Gauge({
    name: `cm_daemon_${o.name}`,
    help: o.help,
    labelNames: o.labels ?? [],
    registers: [registry],
    collect() {
      this.reset()
      for (const [labels, value] of toSamples(o.read())) this.set(labels, value)
    },
  })
}

/** A value that only grows while the process lives, counted elsewhere and read when it is asked for. */
export function declareTotal(registry: Registry, o: Declaration): void {
  new Counter({
    name: `cm_daemon_${o.name}_total`,
    help: o.help,
    labelNames: o.labels ?? [],
    registers: [registry],
    collect() {
      this.reset()
      for (const [labels, value] of toSamples(o.read())) this.inc(labels, value)
    },
  })
}

function toSamples(reading: Reading): readonly (readonly [Record<string, string>, number])[] {
  return typeof reading === 'number' ? [[{}, reading]] : reading
}
