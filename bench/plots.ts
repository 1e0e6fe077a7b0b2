/** Draws a file of results: each figure against its target, and how costs grow. One drawing for light pages, one for dark. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EChartsOption, init } from 'echarts'
import { type Outcome, spread } from './benchmark.ts'
import { exponentAtMost, type Slope } from './growth/growth.ts'
import { shortly, targetText } from './report.ts'
import type { Results } from './results.ts'

interface Theme {
  readonly name: 'light' | 'dark'
  readonly ink: string
  readonly faint: string
  readonly good: string
  readonly bad: string
}

const themes: readonly Theme[] = [
  { name: 'light', ink: '#1f2328', faint: '#d1d9e0', good: '#1a7f37', bad: '#cf222e' },
  { name: 'dark', ink: '#e6edf3', faint: '#3d444d', good: '#3fb950', bad: '#f85149' },
]

/** One line of a drawing: a point, how far the measurements spread around it, and whether it is good enough. */
interface Line {
  readonly label: string
  readonly value: number
  readonly min: number
  readonly max: number
  readonly isGood: boolean
  readonly text: string
}

interface Drawing {
  readonly file: string
  readonly title: string
  /** What the numbers on the right are. */
  readonly legend: string
  readonly axis: {
    readonly type: 'log' | 'value'
    readonly min?: number
    readonly max?: number
    readonly interval?: number
  }
  /** Drawn over all lines. */
  readonly marks: readonly { readonly at: number; readonly text: string }[]
  readonly lines: readonly Line[]
}

/** Writes the drawings into a directory. @returns their paths */
export function drawResults({ outcomes, slopes }: Results, directory: string): readonly string[] {
  const drawings: Drawing[] = [
    {
      file: 'figures',
      title: 'Figure against its target: further right is better',
      legend: 'median, and what is wanted; the bar goes from minimum to maximum',
      axis: { type: 'log' },
      marks: [{ at: 1, text: 'target' }],
      lines: outcomes.map(toFigureLine),
    },
    {
      file: 'growth',
      title: 'Exponent of cost against rows: 0 costs the same at every size',
      legend: `processor time of one call at ${sizesText(slopes)} rows`,
      axis: { type: 'value', min: -0.4, max: 1.2, interval: 0.2 },
      marks: [
        { at: 0, text: 'same' },
        { at: 1, text: 'every row' },
      ],
      lines: slopes.map(toSlopeLine),
    },
  ]
  const drawn = drawings.filter(({ lines }) => lines.length > 0)
  return drawn.flatMap((drawing) =>
    themes.map((theme) => {
      const path = join(directory, `${drawing.file}-${theme.name}.svg`)
      writeFileSync(path, `${render(drawing, theme)}\n`)
      return path
    }),
  )
}

function sizesText(slopes: readonly Slope[]): string {
  const sizes = new Set(slopes.flatMap(({ costs }) => costs.map(({ rows }) => rows.toLocaleString('en'))))
  return [...sizes].join(' · ')
}

/** By how much a target is passed, whichever way it looks. */
function toFigureLine({ name, target, ratios, median, unit = '' }: Outcome): Line {
  const against = ratios.map((ratio) => ('atLeast' in target ? ratio / target.atLeast : target.atMost / ratio))
  const { median: value, min, max } = spread(against)
  const text = `${shortly(median)}${unit === '' ? '' : ` ${unit}`} (${targetText(target)})`
  return { label: name, value, min, max, isGood: value >= 1, text }
}

function toSlopeLine({ growth, name, exponent, costs }: Slope): Line {
  const text = costs.map(({ median }) => shortly(median)).join(' · ')
  const label = `${growth.replace('growth-', '')}: ${name}`
  return {
    label,
    value: exponent,
    min: exponent,
    max: exponent,
    isGood: exponent <= exponentAtMost,
    text: `${text} µs`,
  }
}

const [width, lineHeight, top, bottom] = [860, 24, 76, 32]

function render(drawing: Drawing, theme: Theme): string {
  const chart = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width,
    height: top + bottom + drawing.lines.length * lineHeight,
  })
  try {
    chart.setOption(optionOf(drawing, theme))
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}

function optionOf({ title, legend, axis, marks, lines }: Drawing, { ink, faint, good, bad }: Theme): EChartsOption {
  const colour = (line: Line) => (line.isGood ? good : bad)
  const categories = lines.map(({ label }) => label)
  return {
    animation: false,
    title: {
      ...{ text: title, subtext: legend, left: 8, top: 6, itemGap: 4 },
      textStyle: { color: ink, fontSize: 15 },
      subtextStyle: { color: ink, fontSize: 12 },
    },
    grid: { left: 230, right: 210, top, bottom },
    xAxis: {
      ...axis,
      axisLabel: { color: ink },
      axisLine: { lineStyle: { color: faint } },
      splitLine: { lineStyle: { color: faint, opacity: 0.6 } },
    },
    yAxis: [
      { ...sideOf(categories, ink), position: 'left' },
      {
        ...sideOf(
          lines.map(({ text }) => text),
          ink,
        ),
        position: 'right',
      },
    ],
    series: [
      ...lines.map((line) => ({
        type: 'line' as const,
        symbol: 'none',
        lineStyle: { color: colour(line), width: 3, opacity: 0.45 },
        data: [line.min, line.max].map((value) => [value, line.label]),
      })),
      {
        type: 'scatter' as const,
        symbolSize: 10,
        data: lines.map((line) => ({ value: [line.value, line.label], itemStyle: { color: colour(line) } })),
        markLine: {
          symbol: 'none',
          lineStyle: { color: ink, type: 'dashed', width: 1.5 },
          label: { color: ink },
          data: marks.map(({ at, text }) => ({ xAxis: at, label: { formatter: text, position: 'start' as const } })),
        },
      },
    ],
  }
}

/** The names of the lines on one side, the first at the top. */
function sideOf(data: readonly string[], ink: string) {
  return {
    type: 'category' as const,
    inverse: true,
    data: [...data],
    axisLabel: { color: ink, interval: 0 },
    axisLine: { show: false },
    axisTick: { show: false },
  }
}
