// @ts-check
import { isNumber } from './columns.mjs'
import { describe } from './statistics.mjs'

/** @import { Aggregate, TimeUnit } from './charts.mjs' */

/** @typedef {{ label: string, value: number, rowCount: number }} Point one place on a line, or one bar */

const MAX_SERIES = 12

/**
 * The groups of a split, largest first; past the twelfth they are left out, since nobody reads thirteen lines.
 * @param {string[]} columns
 * @param {unknown[][]} rows
 * @param {string | undefined} splitBy
 * @returns {Array<{ group: string | null, rows: unknown[][] }>}
 */
export function splitRows (columns, rows, splitBy) {
  if (splitBy === undefined) return [{ group: null, rows }]
  const index = columns.indexOf(splitBy)
  const groups = groupBy(rows, row => asKey(row[index], String))
  return Array.from(groups, ([group, rows]) => ({ group, rows }))
    .sort((a, b) => b.rows.length - a.rows.length || compareLabels(a.group, b.group))
    .slice(0, MAX_SERIES)
}

/**
 * @param {string[]} columns
 * @param {unknown[][]} rows
 * @param {{ x: string, y?: string, aggregate?: Aggregate }} config
 * @param {(cell: unknown) => string} label
 * @returns {Point[]}
 */
export function aggregate (columns, rows, { x, y, aggregate = 'mean' }, label) {
  const xIndex = columns.indexOf(x)
  const yIndex = columns.indexOf(y ?? '')
  const groups = groupBy(rows, row => asKey(row[xIndex], label))
  const points = []
  for (const [label, members] of groups) {
    if (aggregate === 'count') {
      points.push({ label, value: members.length, rowCount: members.length })
      continue
    }
    const values = members.map(row => row[yIndex]).filter(isNumber)
    if (values.length > 0) points.push({ label, value: describe(values)[aggregate], rowCount: values.length })
  }
  return points
}

/**
 * @param {unknown[][]} rows
 * @param {(row: unknown[]) => string | null} keyOf `null` leaves the row out
 */
function groupBy (rows, keyOf) {
  /** @type {Map<string, unknown[][]>} */
  const groups = new Map()
  for (const row of rows) {
    const key = keyOf(row)
    if (key === null) continue
    const group = groups.get(key)
    if (group) group.push(row)
    else groups.set(key, [row])
  }
  return groups
}

/**
 * @param {unknown} cell
 * @param {(cell: unknown) => string} label
 */
function asKey (cell, label) {
  return cell === null || cell === undefined ? null : label(cell)
}

/**
 * @param {unknown} cell an ISO date, a year, or any x of a line without a time unit
 * @param {TimeUnit | undefined} unit
 */
export function timeBucket (cell, unit) {
  const text = String(cell)
  if (unit === 'year') return text.slice(0, 4)
  if (unit === 'month') return text.slice(0, 7)
  if (unit === 'day') return text.slice(0, 10)
  if (unit === 'month of year') return text.slice(5, 7)
  return text
}

/**
 * @param {string | null} a
 * @param {string | null} b
 */
export function compareLabels (a, b) {
  return String(a).localeCompare(String(b), 'en', { numeric: true })
}
