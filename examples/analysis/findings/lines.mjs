// @ts-check
import { lineSeries } from '../series.mjs'
import { fitLine, formatNumber, formatPercent, round } from '../statistics.mjs'
import { subject } from './wording.mjs'

/** @import { ChartConfig, ChartData } from '../charts.mjs' */
/** @import { Findings } from '../insights.mjs' */
/** @import { Point } from '../grouping.mjs' */

// Below this a straight line explains so little of a course that "rising" would be a guess.
const MIN_R_SQUARED = 0.3

/**
 * @param {ChartData} data
 * @returns {Findings | null}
 */
export function findInLines (data) {
  const courses = lineSeries(data)
    .filter(({ points }) => points.length > 0)
    .map(({ group, points }) => ({ group: String(group), ...describeCourse(points, data.config) }))
  const [only] = courses
  if (!only) return null
  if (data.config.splitBy === undefined) return { statements: only.statements, figures: only.figures }
  return {
    statements: courses.map(({ group, statements }) => `${group}: ${statements[0]}`),
    figures: { groups: Object.fromEntries(courses.map(({ group, figures }) => [group, figures])) }
  }
}

/**
 * @param {Point[]} points at least one
 * @param {ChartConfig} config
 * @returns {Findings}
 */
function describeCourse (points, config) {
  const what = subject(config)
  const highest = points.reduce((best, point) => point.value > best.value ? point : best)
  const lowest = points.reduce((best, point) => point.value < best.value ? point : best)
  const extremes = `${what} is highest in ${highest.label} (${formatNumber(highest.value)}) and lowest in ${lowest.label} (${formatNumber(lowest.value)}).`
  const figures = { points: points.length, highest: place(highest), lowest: place(lowest) }

  const first = points[0]
  const last = points.at(-1)
  // The months of a year go round: December is not the outcome of January.
  if (config.timeUnit === 'month of year' || !first || !last || first === last) return { statements: [extremes], figures }

  const { changePercent, inWords } = change(first.value, last.value)
  const { trend, rSquared } = trendOf(points)
  return {
    statements: [
      `${what} goes from ${formatNumber(first.value)} (${first.label}) to ${formatNumber(last.value)} (${last.label})${inWords}.`,
      extremes,
      `${trend === 'none' ? 'There is no steady trend' : `The trend is ${trend}`}: a straight line explains ${formatPercent(rSquared * 100)} of the variation.`
    ],
    figures: { ...figures, first: place(first), last: place(last), changePercent, trend, rSquared: round(rSquared) }
  }
}

/** @param {Point} point */
function place ({ label, value }) {
  return { at: label, value: round(value) }
}

/**
 * @param {number} first
 * @param {number} last
 */
function change (first, last) {
  if (first === last) return { changePercent: 0, inWords: ', unchanged' }
  if (first === 0) return { changePercent: null, inWords: '' }
  const changePercent = round((last - first) / Math.abs(first) * 100)
  return { changePercent, inWords: `, ${last > first ? 'up' : 'down'} ${formatPercent(Math.abs(changePercent))}` }
}

/** @param {Point[]} points */
function trendOf (points) {
  const fit = fitLine(points.map(({ value }, index) => ({ x: index, y: value })))
  const rSquared = fit ? fit.r ** 2 : 0
  if (!fit || rSquared < MIN_R_SQUARED) return { trend: 'none', rSquared }
  return { trend: fit.slope > 0 ? 'rising' : 'falling', rSquared }
}
