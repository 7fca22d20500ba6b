// @ts-check
import { histogramBins, histogramValues } from '../series.mjs'
import { describe, formatNumber, formatPercent, round } from '../statistics.mjs'
import { rowsInWords } from './wording.mjs'

/** @import { ChartData } from '../charts.mjs' */
/** @import { Findings } from '../insights.mjs' */

/**
 * @param {ChartData} data
 * @returns {Findings | null}
 */
export function findInHistogram (data) {
  const { x } = data.config
  const { values, missing } = histogramValues(data)
  if (values.length === 0) return null
  const { count, min, max, mean, median, lowerQuartile, upperQuartile, standardDeviation } = describe(values)
  // Tukey's fences, which do not assume a bell curve. A middle half of one single value gives no measure of "far".
  const reach = 1.5 * (upperQuartile - lowerQuartile)
  const outliers = reach === 0 ? 0 : values.filter(value => value < lowerQuartile - reach || value > upperQuartile + reach).length
  const fullest = histogramBins(values).reduce((best, bin) => bin.count > best.count ? bin : best)

  const statements = [
    `${x} runs from ${formatNumber(min)} to ${formatNumber(max)}; its mean is ${formatNumber(mean)}, its median ${formatNumber(median)}.`,
    `The middle half lies between ${formatNumber(lowerQuartile)} and ${formatNumber(upperQuartile)}.`,
    `Most frequent are values from ${formatNumber(fullest.from)} to ${formatNumber(fullest.to)}: ${formatPercent(fullest.count / count * 100)} of the rows.`
  ]
  if (outliers > 0) statements.push(`Far outside (more than 1.5 times the width of the middle half away from it): ${rowsInWords(outliers)}.`)
  if (missing > 0) statements.push(`Without a value: ${rowsInWords(missing)}.`)
  return {
    statements,
    figures: {
      count,
      missing,
      min,
      max,
      mean: round(mean),
      median: round(median),
      lowerQuartile: round(lowerQuartile),
      upperQuartile: round(upperQuartile),
      standardDeviation: round(standardDeviation),
      outliers
    }
  }
}
