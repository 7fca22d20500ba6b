// @ts-check
import { MONTHS, barPoints, histogramBins, histogramValues, lineSeries, scatterClouds } from '../analysis/series.mjs'
import { formatNumber } from '../analysis/statistics.mjs'
import { escapeHtml } from './escape-html.mjs'

/** @import { ChartData } from '../analysis/charts.mjs' */

const WIDTH = 720
const HEIGHT = 260
const LEFT = 70
const BOTTOM = 36
const MAX_DOTS = 2000
const COLOURS = ['#2b6cb0', '#c05621', '#2f855a', '#b83280', '#6b46c1', '#975a16', '#0987a0', '#c53030', '#4a5568', '#5a67d8', '#276749', '#97266d']

/**
 * Draws one chart as SVG. All text in it is escaped.
 * @param {ChartData} data
 * @returns {string}
 */
export function drawChart (data) {
  const draw = { line: drawLines, bar: drawBars, scatter: drawDots, histogram: drawBins }[data.config.chart]
  return draw(data)
}

/** @param {ChartData} data */
function drawBars (data) {
  const { bars } = barPoints(data)
  const x = scale(bars.map(bar => bar.value).concat(0), 220, WIDTH - 80)
  const rows = bars.map(({ label, value }, index) => {
    const top = index * 22
    const [from, to] = [x(0), x(value)].sort((a, b) => a - b)
    return text(212, top + 15, label, 'end') +
      `<rect x="${from}" y="${top + 3}" width="${Number(to) - Number(from)}" height="16" fill="${COLOURS[0]}"/>` +
      text(Number(to) + 6, top + 15, formatNumber(value), 'start')
  })
  return svg(data, bars.length * 22 + 4, rows)
}

/** @param {ChartData} data */
function drawLines (data) {
  const series = lineSeries(data)
  // The groups of a split need not have the same labels: all of them share one axis.
  const labels = [...new Set(series.flatMap(({ points }) => points.map(point => point.label)))]
  labels.sort((a, b) => MONTHS.indexOf(a) - MONTHS.indexOf(b) || a.localeCompare(b, 'en', { numeric: true }))
  const at = new Map(labels.map((label, index) => [label, index]))
  const x = scale([0, labels.length - 1], LEFT, WIDTH - 20)
  const values = series.flatMap(({ points }) => points.map(point => point.value))
  const y = scale(values, HEIGHT - BOTTOM, 12)
  const paths = series.map(({ points }, index) => {
    const path = points.map(({ label, value }) => `${x(at.get(label) ?? 0)},${y(value)}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${colour(index)}" stroke-width="1.5"/>`
  })
  const axis = frame(values, [labels[0] ?? '', labels.at(-1) ?? ''])
  return svg(data, HEIGHT, [axis, ...paths]) + legend(series.map(({ group }) => group))
}

/** @param {ChartData} data */
function drawDots (data) {
  const clouds = scatterClouds(data)
  const points = clouds.flatMap(cloud => cloud.points)
  const xs = points.map(point => point.x)
  const ys = points.map(point => point.y)
  const x = scale(xs, LEFT, WIDTH - 20)
  const y = scale(ys, HEIGHT - BOTTOM, 12)
  // A page of ten thousand dots is slow to open and shows no more than every fifth of them.
  const step = Math.ceil(points.length / MAX_DOTS)
  const dots = clouds.flatMap(({ points }, index) => points.filter((_, place) => place % step === 0)
    .map(point => `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="2.5" fill="${colour(index)}" fill-opacity="0.6"/>`))
  return svg(data, HEIGHT, [frame(ys, ends(xs)), ...dots]) + legend(clouds.map(({ group }) => group))
}

/** @param {ChartData} data */
function drawBins (data) {
  const bins = histogramBins(histogramValues(data).values)
  const counts = bins.map(bin => bin.count).concat(0)
  const x = scale([0, bins.length], LEFT, WIDTH - 20)
  const y = scale(counts, HEIGHT - BOTTOM, 12)
  const columns = bins.map(({ count }, index) =>
    `<rect x="${x(index)}" y="${y(count)}" width="${Math.max(1, x(index + 1) - x(index) - 1)}" height="${y(0) - y(count)}" fill="${COLOURS[0]}"/>`)
  return svg(data, HEIGHT, [frame(counts, ends(bins.flatMap(({ from, to }) => [from, to]))), ...columns])
}

/**
 * The axes with the ends of both: y as numbers, x as given.
 * @param {number[]} ys
 * @param {[string, string]} xs
 */
function frame (ys, [first, last]) {
  const [low, high] = ends(ys)
  return `<path d="M${LEFT} 12V${HEIGHT - BOTTOM}H${WIDTH - 20}" fill="none" stroke="#a0aec0"/>` +
    text(LEFT - 8, HEIGHT - BOTTOM, low, 'end') + text(LEFT - 8, 20, high, 'end') +
    text(LEFT, HEIGHT - 16, first, 'start') + text(WIDTH - 20, HEIGHT - 16, last, 'end')
}

/**
 * @param {number[]} values
 * @returns {[string, string]} the smallest and the largest, in words
 */
function ends (values) {
  if (values.length === 0) return ['', '']
  const [low, high] = extent(values)
  return [formatNumber(low), formatNumber(high)]
}

/**
 * @param {number[]} values
 * @returns {[number, number]}
 */
function extent (values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity])
}

/**
 * Maps the extent of the values onto pixels, rounded to a tenth.
 * @param {number[]} values
 * @param {number} from
 * @param {number} to
 */
function scale (values, from, to) {
  const [low, high] = extent(values)
  const span = high - low || 1
  /** @param {number} value */
  return value => Math.round((from + (value - low) / span * (to - from)) * 10) / 10
}

/** @param {number} index */
function colour (index) {
  return COLOURS[index % COLOURS.length]
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {'start' | 'end'} anchor
 */
function text (x, y, content, anchor) {
  const short = content.length > 32 ? `${content.slice(0, 31)}…` : content
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeHtml(short)}</text>`
}

/** @param {Array<string | null>} groups */
function legend (groups) {
  const entries = groups.flatMap((group, index) => group === null ? [] : [`<span style="color:${colour(index)}">■ ${escapeHtml(group)}</span>`])
  return entries.length > 0 ? `<p class="legend">${entries.join(' ')}</p>` : ''
}

/**
 * @param {ChartData} data
 * @param {number} height
 * @param {string[]} parts
 */
function svg ({ config }, height, parts) {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(config.name)}">${parts.join('\n')}</svg>`
}
