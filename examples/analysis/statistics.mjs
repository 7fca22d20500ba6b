// @ts-check

/**
 * @typedef {object} Summary
 * @property {number} count
 * @property {number} min
 * @property {number} max
 * @property {number} sum
 * @property {number} mean
 * @property {number} median
 * @property {number} lowerQuartile
 * @property {number} upperQuartile
 * @property {number} standardDeviation of the sample; 0 for a single value
 */

/**
 * Describes at least one finite number; does not modify its input.
 * @param {number[]} values
 * @returns {Summary}
 */
export function describe (values) {
  // Not Math.min(...values): spreading a long column overflows the stack.
  const sorted = Float64Array.from(values).sort()
  const count = sorted.length
  const sum = sorted.reduce((total, value) => total + value, 0)
  const mean = sum / count
  const squares = sorted.reduce((total, value) => total + (value - mean) ** 2, 0)
  return {
    count,
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    sum,
    mean,
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    standardDeviation: count > 1 ? Math.sqrt(squares / (count - 1)) : 0
  }
}

/**
 * The value below which this fraction lies, between two neighbours by linear interpolation.
 * @param {Float64Array} sorted ascending, not empty
 * @param {number} fraction 0 to 1
 */
function quantile (sorted, fraction) {
  const position = (sorted.length - 1) * fraction
  const lower = sorted[Math.floor(position)] ?? NaN
  const upper = sorted[Math.ceil(position)] ?? NaN
  return lower + (upper - lower) * (position - Math.floor(position))
}

/**
 * Least-squares line and Pearson's r. `null` when there is nothing to fit: fewer than three points, or all on one
 * vertical or horizontal line, where r is not defined.
 * @param {Array<{ x: number, y: number }>} points
 */
export function fitLine (points) {
  if (points.length < 3) return null
  const meanX = points.reduce((total, point) => total + point.x, 0) / points.length
  const meanY = points.reduce((total, point) => total + point.y, 0) / points.length
  let xx = 0
  let yy = 0
  let xy = 0
  for (const { x, y } of points) {
    xx += (x - meanX) ** 2
    yy += (y - meanY) ** 2
    xy += (x - meanX) * (y - meanY)
  }
  if (xx === 0 || yy === 0) return null
  return { slope: xy / xx, intercept: meanY - (xy / xx) * meanX, r: xy / Math.sqrt(xx * yy) }
}

/**
 * Cuts what floating-point arithmetic adds, so that figures stay short in JSON: whole above 100,000, else six digits.
 * @param {number} value
 */
export function round (value) {
  return Math.abs(value) >= 100_000 ? Math.round(value) : Number(value.toPrecision(6))
}

/**
 * A number for a sentence: `1,303,182,268`, `35.6`, `0.001234`.
 * @param {number} value
 */
export function formatNumber (value) {
  return value.toLocaleString('en-US', Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 })
}

/**
 * A percentage for a sentence, to one decimal: nobody reads more.
 * @param {number} value
 */
export function formatPercent (value) {
  if (value !== 0 && Math.abs(value) < 0.1) return 'less than 0.1 %'
  return `${formatNumber(Number(value.toFixed(1)))} %`
}
