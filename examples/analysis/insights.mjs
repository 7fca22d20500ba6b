// @ts-check
import { findInBars } from './findings/bars.mjs'
import { findInHistogram } from './findings/histogram.mjs'
import { findInLines } from './findings/lines.mjs'
import { findInScatter } from './findings/scatter.mjs'
import { matchColumns } from './matching.mjs'
import { readQuestion } from './question.mjs'

/** @import { ChartData } from './charts.mjs' */

/**
 * Sentences for people, and the figures they were made from.
 * @typedef {{ statements: string[], figures: Record<string, unknown> }} Findings
 */

/** @typedef {Findings & { chart: string, rowCount: number }} Insight */

const FIND = { line: findInLines, bar: findInBars, scatter: findInScatter, histogram: findInHistogram }

/**
 * What every chart says, those first whose columns the question names.
 * @param {ChartData[]} chartData
 * @param {string} question
 * @returns {Insight[]}
 */
export function analyzeCharts (chartData, question) {
  const { words } = readQuestion(question)
  /** @param {ChartData} data */
  const relevance = ({ columns }) => matchColumns(words, columns.map(name => ({ name, type: 'text' }))).length
  return chartData.toSorted((a, b) => relevance(b) - relevance(a)).map(analyzeChart)
}

/**
 * @param {ChartData} data
 * @returns {Insight}
 */
export function analyzeChart (data) {
  const findings = FIND[data.config.chart](data) ?? {
    statements: ['No row has the values that this chart needs.'],
    figures: {}
  }
  return { chart: data.config.name, rowCount: data.rows.length, ...findings }
}
