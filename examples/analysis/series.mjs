import * as d3 from 'd3-array'
import { utcDay, utcMonth, utcYear } from 'd3-time'
import { analyzeColumn } from './columns.mjs'

const MAX_SERIES = 12
const POINTS = { line: linePoints, bar: barPoints, scatter: dots, histogram: bins }
const { mean, median, sum, min, max } = d3
const AGGREGATES = { mean, median, sum, min, max, count: rows => rows.length }
/** The calendar in which a unit is counted, and the characters of an ISO date that name it. */
const UNITS = {
  year: { calendar: utcYear, span: [0, 4] },
  month: { calendar: utcMonth, span: [0, 7] },
  day: { calendar: utcDay, span: [0, 10] },
  // The months of all years are laid over those of one.
  'month of year': { calendar: utcMonth, span: [5, 7], year: '2000-' }
}
const compareTexts = (a, b) => a.localeCompare(b, 'en', { numeric: true })

/**
 * Turns the rows of a chart into what is drawn and talked about. Rows without a needed value do not take part.
 * Groups of a split come largest first; past the twelfth they are left out, since nobody reads thirteen lines.
 */
export function seriesOf ({ config, columns, rows }) {
  const cellsOf = name => {
    const index = columns.indexOf(name)
    return row => row[index] ?? null
  }
  const axis = config.chart === 'line' && readAxis(config, rows.map(cellsOf(config.x)).filter(cell => cell !== null))
  const pointsOf = rows => POINTS[config.chart](rows, config, cellsOf, axis)
  if (!config.splitBy || !['line', 'scatter'].includes(config.chart)) return [{ group: null, points: pointsOf(rows) }]
  const groupOf = cellsOf(config.splitBy)
  return d3.groups(rows.filter(row => groupOf(row) !== null), row => String(groupOf(row)))
    .sort(([a, one], [b, other]) => other.length - one.length || compareTexts(a, b))
    .slice(0, MAX_SERIES)
    .map(([group, rows]) => ({ group, points: pointsOf(rows) }))
}

/** How the x of a line becomes a label and a place, and which step from place to place is usual in these rows. */
function readAxis ({ x, timeUnit }, cells) {
  const { calendar, span = [], year = '' } = UNITS[timeUnit ?? analyzeColumn(x, cells).granularity] ?? {}
  const labelOf = cell => String(cell).slice(...span)
  const placeOf = label => calendar ? new Date(year + label) : Number(label)
  const nameOf = ({ label, at }) => year ? at.toLocaleString('en', { month: 'long', timeZone: 'UTC' }) : label
  const places = d3.sort(Array.from(new Set(cells.map(labelOf)), placeOf))
  const steps = calendar ? d3.pairs(places, (one, next) => calendar.count(one, next)) : []
  return { calendar, labelOf, placeOf, nameOf, usualStep: d3.mode(d3.sort(steps)) }
}

/**
 * One point for each x, in order. A missing value is unknown: it is neither 0 nor what its neighbours suggest. So
 * wherever the next point is further away than usual, a point without a value goes in between, to break the line.
 */
function linePoints (rows, config, cellsOf, { calendar, labelOf, placeOf, nameOf, usualStep }) {
  const all = aggregate(rows, config, cellsOf, labelOf).map(point => ({ ...point, at: placeOf(point.label) }))
  const points = d3.sort(all.filter(({ at }) => !Number.isNaN(Number(at))), ({ at }) => at)
  return points.flatMap((point, index) => {
    const named = { ...point, label: nameOf(point) }
    const step = calendar && index + 1 < points.length ? calendar.count(point.at, points[index + 1].at) : 0
    if (!(step > usualStep)) return [named]
    return [named, { at: calendar.offset(point.at, usualStep), value: null, missing: Math.ceil(step / usualStep) - 1 }]
  })
}

/** One bar for each x, longest first unless the chart says otherwise. */
function barPoints (rows, config, cellsOf) {
  const compare = config.sort === 'ascending' ? d3.ascending : d3.descending
  const bars = aggregate(rows, config, cellsOf, String)
  return bars.sort((a, b) => compare(a.value, b.value) || compareTexts(a.label, b.label))
}

function dots (rows, { x, y }, cellsOf) {
  const [xOf, yOf] = [x, y].map(cellsOf)
  return rows.map(row => [xOf(row), yOf(row)]).filter(point => point.every(Number.isFinite))
}

/** The values in bins of round widths, whose number follows the number of values (Sturges' rule). */
function bins (rows, { x }, cellsOf) {
  return d3.bin().thresholds(d3.thresholdSturges)(rows.map(cellsOf(x)).filter(Number.isFinite))
}

/** One value for each label of x: of the y in its rows, or their number. */
function aggregate (rows, { x, y, aggregate = 'mean' }, cellsOf, labelOf) {
  const [xOf, yOf] = [x, y].map(cellsOf)
  const taking = rows.filter(row => xOf(row) !== null && (aggregate === 'count' || Number.isFinite(yOf(row))))
  const summarize = group => ({ value: AGGREGATES[aggregate](group.map(yOf)), rowCount: group.length })
  return d3.rollups(taking, summarize, row => labelOf(xOf(row))).map(([label, summary]) => ({ label, ...summary }))
}
