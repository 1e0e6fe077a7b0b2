/** The lines that a run prints. */
import { isReached, type Outcome, type Target } from './benchmark.ts'
import { exponentAtMost, type Slope } from './growth/growth.ts'
import type { Busyness, Machine } from './machine.ts'

export function machineLines(machine: Machine, before: Busyness): readonly string[] {
  const { processor, processors, memoryGiB, kernel, filesystem, node, sqlite } = machine
  return [
    `${processors} x ${processor}, ${memoryGiB} GiB, ${kernel}, ${filesystem}; Node ${node}, SQLite ${sqlite}`,
    `before: ${busynessText(before)}`,
  ]
}

export function busynessText({ processorShare, loadOfLastMinute }: Busyness): string {
  return `processors ${Math.round(processorShare * 100)} % busy, load ${loadOfLastMinute.toFixed(1)}`
}

/** One figure and whatever is to be said about it. */
export function outcomeLines(outcome: Outcome): readonly string[] {
  const { name, unit = '', size, notes } = outcome
  const [median, min, max] = [outcome.median, outcome.min, outcome.max].map(shortly)
  const columns = [
    name.padEnd(22),
    `${median} ${unit}`.padEnd(14),
    `${min} .. ${max}`.padEnd(22),
    targetText(outcome.target).padEnd(8),
    isReached(outcome) ? 'reached' : 'missed ',
    size === null ? outcome.about : `${outcome.about} [${size}]`,
  ]
  return [columns.join('  '), ...notes.map((note) => `${' '.repeat(24)}${note}`)]
}

export function slopeLine(slope: Slope): string {
  const costs = slope.costs.map(({ rows, median }) => `${shortly(median)} us at ${rows.toLocaleString('en')}`)
  const columns = [
    `${slope.growth} ${slope.name}`.padEnd(34),
    `n^${slope.exponent.toFixed(2)}`.padEnd(8),
    slope.exponent <= exponentAtMost ? 'flat ' : 'grows',
    costs.join(', '),
  ]
  return columns.join('  ')
}

export function targetText(target: Target): string {
  return 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`
}

/** Three digits that count, or all in front of the point. */
export function shortly(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
