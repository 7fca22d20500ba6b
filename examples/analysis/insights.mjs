import { deviation, greatest, least, mean, quantile, sum } from 'd3-array'
import { linearRegression, sampleCorrelation } from 'simple-statistics'
import { formatNumber, formatPercent, round } from './numbers.mjs'
import { matchColumns, readQuestion } from './question.mjs'
import { seriesOf } from './series.mjs'

const FIND = { line: findInLines, bar: findInBars, scatter: findInScatter, histogram: findInHistogram }
const NOTHING = { statements: ['No row has the values that this chart needs.'], figures: {} }
// Below this a straight line explains so little of a course that "rising" would be a guess.
const MIN_R_SQUARED = 0.3
const figureOf = ({ label, value }) => ({ at: label, value: round(value) })
const rowsInWords = count => `${formatNumber(count)} ${count === 1 ? 'row' : 'rows'}`
const subject = ({ aggregate = 'mean', y }) => aggregate === 'count' ? 'The number of rows' : `The ${aggregate} ${y}`

/** What every chart says, those first whose columns the question names. */
export function analyzeCharts (chartData, question) {
  const { words } = readQuestion(question)
  const relevance = ({ columns }) => matchColumns(words, columns.map(name => ({ name, type: 'text' }))).length
  return chartData.toSorted((a, b) => relevance(b) - relevance(a)).map(analyzeChart)
}

/** Sentences for people, and the figures that they were made from. */
export function analyzeChart (data) {
  const series = seriesOf(data).filter(({ points }) => points.length > 0)
  const findings = series.length > 0 ? FIND[data.config.chart](series, data) : NOTHING
  return { chart: data.config.name, rowCount: data.rows.length, ...findings }
}

function findInLines (series, { config }) {
  const courses = series.map(({ group, points }) => [group, describeCourse(points, config)])
  if (config.splitBy === undefined) return courses[0][1]
  const groups = Object.fromEntries(courses.map(([group, { figures }]) => [group, figures]))
  return { statements: courses.map(([group, { statements }]) => `${group}: ${statements[0]}`), figures: { groups } }
}

function describeCourse (places, config) {
  const points = places.filter(({ value }) => value !== null)
  const missing = sum(places, place => place.missing) || undefined
  const [highest, lowest] = [greatest(points, point => point.value), least(points, point => point.value)]
  const [high, low] = [highest, lowest].map(({ label, value }) => `${label} (${formatNumber(value)})`)
  const figures = { points: points.length, missing, highest: figureOf(highest), lowest: figureOf(lowest) }
  const statements = [`${subject(config)} is highest in ${high} and lowest in ${low}.`]
  if (missing) statements.push(`The line has gaps: ${missing} of its ${missing + points.length} points have no value.`)
  const [first, last] = [points[0], points.at(-1)]
  // The months of a year go round: December is not the outcome of January.
  if (config.timeUnit === 'month of year' || first === last) return { statements, figures }

  const change = last.value - first.value
  const changePercent = change === 0 ? 0 : first.value === 0 ? null : round(change / Math.abs(first.value) * 100)
  const size = changePercent ? `, ${change > 0 ? 'up' : 'down'} ${formatPercent(Math.abs(changePercent))}` : ''
  const [from, to] = [first, last].map(({ label, value }) => `${formatNumber(value)} (${label})`)
  const r = correlate(points.map(({ at, value }) => [Number(at), value])) ?? 0
  const trend = r ** 2 < MIN_R_SQUARED ? 'none' : r > 0 ? 'rising' : 'falling'
  const course = trend === 'none' ? 'There is no steady trend' : `The trend is ${trend}`
  return {
    statements: [
      `${subject(config)} goes from ${from} to ${to}${change === 0 ? ', unchanged' : size}.`,
      ...statements,
      `${course}: a straight line explains ${formatPercent(r ** 2 * 100)} of the variation.`
    ],
    figures: { ...figures, first: figureOf(first), last: figureOf(last), changePercent, trend, rSquared: round(r ** 2) }
  }
}

/** Ranks every value of x, also those past the chart's limit. */
function findInBars ([{ points }], { config }) {
  const ranked = points.toSorted((a, b) => b.value - a.value)
  const [top, bottom] = [ranked[0], ranked.at(-1)]
  const counts = config.aggregate === 'count'
  const total = counts || config.aggregate === 'sum' ? sum(ranked, bar => bar.value) : undefined
  const [best, worst] = [top, bottom].map(({ label, value, rowCount }) =>
    `${label} (${formatNumber(value)}${counts ? '' : `, ${rowsInWords(rowCount)}`})`)

  const statements = [`${subject(config)} is highest for ${best}.`]
  if (bottom !== top) statements.push(`It is lowest for ${worst}, of ${ranked.length} values of ${config.x}.`)
  if (total > 0 && bottom.value >= 0) {
    const share = formatPercent(top.value / total * 100)
    statements.push(`${top.label} makes up ${share} of the total of ${formatNumber(total)}.`)
  }
  const [lowest, ...highest] = [bottom, ...ranked.slice(0, 5)].map(bar => ({ ...bar, value: round(bar.value) }))
  return { statements, figures: { values: ranked.length, top: highest, bottom: lowest, total: total && round(total) } }
}

/** Correlation over all rows and, where the chart is split, within each group: the two may contradict each other. */
function findInScatter (series, data) {
  const { x, y, splitBy } = data.config
  const [{ points }] = seriesOf({ ...data, config: { ...data.config, splitBy: undefined } })
  const count = rowsInWords(points.length)
  const r = correlate(points)
  if (r === null) {
    const statement = `${count} with both ${x} and ${y}: too few different values for a correlation.`
    return { statements: [statement], figures: { points: points.length } }
  }
  const { m: slope, b: intercept } = linearRegression(points)
  const figures = { points: points.length, correlation: round(r), slope: round(slope), intercept: round(intercept) }
  const statements = [`${x} and ${y} have ${strength(r)} (r = ${formatNumber(r)}, ${count}).`]
  const effect = `${formatNumber(Math.abs(slope))} ${slope > 0 ? 'more' : 'less'}`
  if (Math.abs(r) >= 0.3) statements.push(`One more of ${x} goes with ${effect} of ${y}.`)
  const within = series.map(({ group, points }) => [group, correlate(points)]).filter(([, r]) => r !== null)
  if (splitBy === undefined || within.length === 0) return { statements, figures }
  const list = within.map(([group, r]) => `${group} r = ${formatNumber(r)}`).join(', ')
  statements.push(`Within one ${splitBy}: ${list}.`)
  figures.groups = Object.fromEntries(within.map(([group, r]) => [group, round(r)]))
  return { statements, figures }
}

function strength (r) {
  const size = Math.abs(r)
  if (size < 0.1) return 'no linear correlation'
  return `a ${size < 0.3 ? 'weak' : size < 0.7 ? 'moderate' : 'strong'} ${r > 0 ? 'positive' : 'negative'} correlation`
}

/** Pearson's r; null when it is not defined: fewer than three points, or all on one vertical or horizontal line. */
function correlate (points) {
  const r = points.length < 3 ? NaN : sampleCorrelation(points.map(([x]) => x), points.map(([, y]) => y))
  return Number.isFinite(r) ? r : null
}

function findInHistogram ([{ points: bins }], { config, rows }) {
  const values = bins.flat()
  const missing = rows.length - values.length
  const [min, lower, middle, upper, max] = [0, 0.25, 0.5, 0.75, 1].map(share => quantile(values, share))
  // Tukey's fences, which do not assume a bell curve. A middle half of one single value gives no measure of "far".
  const reach = 1.5 * (upper - lower)
  const isFar = value => reach > 0 && (value < lower - reach || value > upper + reach)
  const outliers = values.filter(isFar).length
  const average = mean(values)
  const fullest = greatest(bins, bin => bin.length)
  const share = formatPercent(fullest.length / values.length * 100)
  const [lowest, q1, center, q3, highest] = [min, lower, middle, upper, max].map(formatNumber)
  const [from, to] = [fullest.x0, fullest.x1].map(formatNumber)
  const statements = [
    `${config.x} runs from ${lowest} to ${highest}; its mean is ${formatNumber(average)}, its median ${center}.`,
    `The middle half lies between ${q1} and ${q3}.`,
    `Most frequent are values from ${from} to ${to}: ${share} of the rows.`
  ]
  const far = 'Far outside (more than 1.5 times the width of the middle half away from it)'
  if (outliers > 0) statements.push(`${far}: ${rowsInWords(outliers)}.`)
  if (missing > 0) statements.push(`Without a value: ${rowsInWords(missing)}.`)
  const quartiles = { lowerQuartile: round(lower), median: round(middle), upperQuartile: round(upper) }
  const spread = { mean: round(average), standardDeviation: round(deviation(values) ?? 0), outliers }
  return { statements, figures: { count: values.length, missing, min, max, ...quartiles, ...spread } }
}
