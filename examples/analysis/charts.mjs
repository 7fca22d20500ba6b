// @ts-check
import * as z from 'zod'
import { InputError } from './input-error.mjs'

const text = z.string('must be text').min(1, 'must be text')
const LIMIT = 'must be a whole number from 1 to 100'
const FILTERS = 'must be a list of columns, each with its values as text'
const valuesSchema = z.array(z.string(FILTERS), FILTERS).min(1, FILTERS)

/** @template {string} T @param {T[]} options */
const oneOf = options => z.enum(options, `is not one of ${options.join(', ')}`)

/**
 * One chart, complete enough to be drawn from the rows of its source. Only rows that `only` names take part. Its values
 * may be the beginning of a time: `2012` is the whole year, `2012-03` its March.
 */
export const ChartSchema = z.object({
  name: text,
  sourceId: text,
  chart: oneOf(['line', 'bar', 'scatter', 'histogram']),
  x: text,
  y: text.optional(),
  aggregate: oneOf(['mean', 'median', 'sum', 'min', 'max', 'count']).optional(),
  timeUnit: oneOf(['year', 'month', 'day', 'month of year']).optional(),
  splitBy: text.optional(),
  sort: oneOf(['descending', 'ascending']).optional(),
  limit: z.int(LIMIT).min(1, LIMIT).max(100, LIMIT).optional(),
  only: z.array(z.object({ column: z.string(FILTERS), values: valuesSchema }, FILTERS), FILTERS).optional()
}, 'must be an object')

/** The rows of a chart. A row is an array in the order of `columns`: half the size of objects. */
const rows = z.array(z.array(z.unknown()))
export const ChartDataSchema = z.object({ config: ChartSchema, columns: z.array(z.string()), rows })

/** @typedef {z.infer<typeof ChartSchema>} ChartConfig */
/** @typedef {z.infer<typeof ChartDataSchema>} ChartData */

export const MAX_CHARTS = 12

const ANY_TYPE = ['time', 'number', 'category', 'text']
const USES = {
  line: { xTypes: ['time', 'number'], fields: ['y', 'aggregate', 'timeUnit', 'splitBy'] },
  bar: { xTypes: ANY_TYPE, fields: ['y', 'aggregate', 'sort', 'limit'] },
  scatter: { xTypes: ['number'], fields: ['y', 'splitBy'] },
  histogram: { xTypes: ['number'], fields: [] }
}

/**
 * Makes a chart of what somebody sent: its shape is checked, and its columns are held against those of the source.
 * Returns only what a chart uses; throws an InputError with the `field` that does not fit.
 */
export function checkChart (value, columns) {
  const { name, sourceId, chart, x, only, ...given } = readChart(value)
  const { xTypes, fields } = USES[chart]
  /** @type {ChartConfig} */
  const config = { name, sourceId, chart, x, ...(fields.includes('aggregate') && { aggregate: 'mean' }) }
  for (const field of fields) if (given[field] !== undefined) config[field] = given[field]
  if (config.aggregate === 'count') delete config.y
  else if (fields.includes('y') && !config.y) throw wrong('chart', `a ${chart} chart needs "y": the column to show`)

  needColumn('x', x, config.timeUnit ? ['time'] : xTypes)
  if (config.y) needColumn('y', config.y, ['number'])
  if (config.splitBy) needColumn('splitBy', config.splitBy, ANY_TYPE)
  for (const { column } of only ?? []) needColumn('only', column, ANY_TYPE)
  return only ? { ...config, only } : config

  function needColumn (field, name, types) {
    const type = columns.find(column => column.name === name)?.type
    const all = columns.map(({ name }) => name).join(', ')
    if (!type) throw wrong(field, `there is no column "${name}"; the columns are ${all}`)
    if (types.includes(type)) return
    throw wrong(field, `"${name}" is a ${type} column; a ${chart} chart takes a ${types.join(' or ')} column here`)
  }
}

function readChart (value) {
  const { data, error } = ChartSchema.safeParse(value)
  if (data) return data
  const [{ path: [field = 'chart'], message }] = error.issues
  const isUnknownOption = message.startsWith('is not') && typeof value[field] === 'string'
  throw wrong(field, `"${isUnknownOption ? value[field] : String(field)}" ${message}`)
}

const wrong = (field, message) => new InputError(message, { field })

/** The rows and columns that a checked chart needs, nothing else. @param {ChartConfig} config @returns {ChartData} */
export function selectChartData (config, rows) {
  const columns = [...new Set([config.x, config.y, config.splitBy].filter(name => name !== undefined))]
  const matches = (cell, value) => cell === value || (/^\d{4}(-\d{2})?$/.test(value) && cell.startsWith(`${value}-`))
  const isWanted = row => ({ column, values }) => values.some(value => matches(String(row[column]), value))
  const wanted = rows.filter(row => (config.only ?? []).every(isWanted(row)))
  return { config, columns, rows: wanted.map(row => columns.map(name => row[name] ?? null)) }
}
