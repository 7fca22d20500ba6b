import { readFileSync } from 'node:fs'
import { View, parse } from 'vega'
import { compile } from 'vega-lite'
import { formatNumber } from '../analysis/numbers.mjs'
import { seriesOf } from '../analysis/series.mjs'

const readJson = name => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'))
const STYLE = readJson('chart-style.json')
const { times, colour, ...SPECS } = readJson('chart-specs.json')
const VALUES = { line: lineValues, bar: barValues, scatter: scatterValues, histogram: histogramValues }
const DEFAULT_BARS = 20
const MAX_DOTS = 2000

/** Draws one chart as SVG. */
export function drawChart (data) {
  return new View(parse(compile(chartSpec(data)).spec), { renderer: 'none' }).toSVG()
}

/** A chart as Vega-Lite. Its values have names of ours: a name of a column may be what Vega reads as a path. */
export function chartSpec (data) {
  const { config: { chart, x, y, aggregate, timeUnit, splitBy, limit } } = data
  const series = seriesOf(data)
  const values = VALUES[chart](series, limit)
  const { layer, mark, encoding } = SPECS[chart]
  const measure = y ? `${aggregate} ${y}` : 'number of rows'
  const titles = { line: [x, measure], bar: [measure, null], scatter: [x, y], histogram: [x, 'rows'] }[chart]
  const isTime = chart === 'line' && series.some(({ points: [first] }) => first?.at instanceof Date)
  return {
    config: STYLE,
    autosize: { type: 'fit-x', contains: 'padding' },
    width: 680,
    height: chart === 'bar' ? 26 * values.length : 260,
    data: { values },
    ...(layer ? { layer } : { mark }),
    encoding: {
      ...encoding,
      x: { ...encoding.x, title: titles[0], ...(isTime && (times[timeUnit] ?? times.date)) },
      y: { ...encoding.y, title: titles[1] },
      ...(splitBy && { color: colour })
    }
  }
}

function lineValues (series) {
  return series.flatMap(({ group, points }) => points.map(({ at, value }, index) => {
    // A point between two gaps is no line: it gets a dot.
    const isAlone = [points[index - 1], points[index + 1]].every(neighbour => (neighbour?.value ?? null) === null)
    return { x: Number(at), y: value, group, isAlone }
  }))
}

function barValues ([{ points }], limit = DEFAULT_BARS) {
  return points.slice(0, limit).map(({ label, value }) => ({ label, value, text: formatNumber(value) }))
}

function scatterValues (series) {
  const dots = series.flatMap(({ group, points }) => points.map(([x, y]) => ({ x, y, group })))
  // A page of ten thousand dots is slow to open and shows no more than every fifth of them.
  const step = Math.ceil(dots.length / MAX_DOTS)
  return dots.filter((_, index) => index % step === 0)
}

function histogramValues ([{ points }]) {
  return points.map(({ x0: from, x1: to, length: count }) => ({ from, to: to > from ? to : from + 1, count }))
}
