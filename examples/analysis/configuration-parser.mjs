// @ts-check
import { ChartError, checkChart } from './chart-check.mjs'
import { MAX_CHARTS } from './charts.mjs'
import { SETTINGS } from './configuration.mjs'
import { InputError } from './input-error.mjs'

/** @import { ChartConfig, Filter } from './charts.mjs' */
/** @import { Column } from './columns.mjs' */

/**
 * Reads a dashboard back and holds every chart against the columns of its source.
 * Throws an InputError that names the line and quotes it.
 * @param {string} markdown
 * @param {{ sourceId: string, columns: Array<Pick<Column, 'name' | 'type'>> }} source
 * @returns {{ title: string, charts: ChartConfig[] }}
 */
export function parseConfiguration (markdown, { sourceId, columns }) {
  let title = ''
  /** @type {Array<{ config: Record<string, unknown>, lineOf: Map<string, Line> }>} */
  const drafts = []

  for (const line of readLines(markdown)) {
    if (line.text === '' || /^(>|```|---)/.test(line.text)) continue
    const draft = drafts.at(-1)
    if (line.text.startsWith('## ')) {
      const name = line.text.slice(3).trim()
      if (drafts.some(({ config }) => config.name === name)) throw problem(line, 'another chart has this name')
      drafts.push({ config: { name, sourceId }, lineOf: new Map([['name', line]]) })
    } else if (line.text.startsWith('# ')) {
      title ||= line.text.slice(2).trim()
    } else if (draft) {
      readSetting(line, draft)
    }
    // Before the first chart there is room for prose.
  }

  if (drafts.length === 0) throw new InputError('The configuration has no chart: each begins with a line "## <name>".')
  if (drafts.length > MAX_CHARTS) throw new InputError(`The configuration has ${drafts.length} charts; ${MAX_CHARTS} is the most.`)
  return { title: title || 'Dashboard', charts: drafts.map(draft => finish(draft, columns)) }
}

/** @typedef {{ number: number, text: string }} Line */

/** @param {string} markdown */
function readLines (markdown) {
  return markdown.split(/\r\n|\r|\n/).map((text, index) => ({ number: index + 1, text: text.trim() }))
}

/**
 * @param {Line} line
 * @param {{ config: Record<string, unknown>, lineOf: Map<string, Line> }} draft
 */
function readSetting (line, { config, lineOf }) {
  const [, label, rest] = /^[-*+]\s+([^:]+):(.*)$/.exec(line.text) ?? []
  if (label === undefined || rest === undefined) throw problem(line, 'it is neither "- setting: value" nor a remark beginning with ">"')
  const wanted = label.trim().toLowerCase()
  const value = rest.trim().replace(/^`(.*)`$/, '$1')
  const field = wanted === 'only' ? 'only' : SETTINGS.find(([name]) => name === wanted)?.[1]
  if (!field) throw problem(line, `"${label.trim()}" is not a setting; these are: ${SETTINGS.map(([name]) => name).join(', ')}, only`)
  if (value === '') throw problem(line, 'the value is missing')
  if (field !== 'only' && lineOf.has(field)) throw problem(line, 'this setting is there twice')

  lineOf.set(field, line)
  if (field === 'only') config.only = [...(/** @type {Filter[]} */ (config.only ?? [])), readFilter(line, value)]
  else if (field === 'limit') config.limit = Number(value)
  else config[field] = ['chart', 'timeUnit', 'aggregate', 'sort'].includes(field) ? value.toLowerCase() : value
}

/**
 * @param {Line} line
 * @param {string} text `column = value | value`
 * @returns {Filter}
 */
function readFilter (line, text) {
  const at = text.indexOf('=')
  const column = text.slice(0, Math.max(at, 0)).trim()
  const values = text.slice(at + 1).split('|').map(value => value.trim()).filter(value => value !== '')
  if (column === '' || values.length === 0) throw problem(line, 'write it as "- only: column = value | other value"')
  return { column, values }
}

/**
 * @param {{ config: Record<string, unknown>, lineOf: Map<string, Line> }} draft
 * @param {Array<Pick<Column, 'name' | 'type'>>} columns
 * @returns {ChartConfig}
 */
function finish ({ config, lineOf }, columns) {
  const heading = /** @type {Line} */ (lineOf.get('name'))
  for (const field of ['chart', 'x']) if (!lineOf.has(field)) throw problem(heading, `this chart has no line "- ${field}: …"`)
  try {
    const chart = checkChart(config, columns)
    for (const [label, field] of SETTINGS) {
      const line = lineOf.get(field)
      // Dropping it without a word would leave its author wondering.
      if (line && !(field in chart)) throw problem(line, `a ${chart.chart} chart${chart.aggregate === 'count' ? ' that counts rows' : ''} does not use "${label}"`)
    }
    return chart
  } catch (error) {
    throw error instanceof ChartError ? problem(lineOf.get(error.field) ?? heading, error.message) : error
  }
}

/**
 * @param {Line} line
 * @param {string} reason
 */
function problem ({ number, text }, reason) {
  return new InputError(`Line ${number} of the configuration, "${text.slice(0, 120)}": ${reason}.`)
}
