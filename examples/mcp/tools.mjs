// @ts-check
import { checkChart } from '../analysis/chart-check.mjs'
import { selectChartData } from '../analysis/charts.mjs'
import { analyzeColumns } from '../analysis/columns.mjs'
import { parseConfiguration } from '../analysis/configuration-parser.mjs'
import { writeConfiguration } from '../analysis/configuration.mjs'
import { analyzeCharts } from '../analysis/insights.mjs'
import { planStrategy } from '../analysis/strategy.mjs'
import { callApi, resolveUrl } from './demo-api-client.mjs'
import * as schemas from './schemas.mjs'

/** @import { ChartConfig } from '../analysis/charts.mjs' */

/**
 * @typedef {object} DemoTool
 * @property {string} title
 * @property {string} description
 * @property {Record<string, object>} properties of the input, as JSON Schemas
 * @property {string[]} [optional] the properties that may be left out
 * @property {boolean} [writes] changes something outside
 * @property {(input: any, signal: AbortSignal) => Outputs | Promise<Outputs>} run takes what fits the schemas, returns
 *   the outputs, throws an InputError for what the caller can put right
 */
/** @typedef {Record<string, unknown>} Outputs */

const { apiUrl, jwtToken, question, columnAnalysis, chartConfigs } = schemas

/**
 * The tools in the order in which they are used. What one returns under a name, a later one takes under that name.
 * Only those that talk to the API declare the credentials.
 * @type {Record<string, DemoTool>}
 */
export const tools = {
  validate_settings: {
    title: 'Validate settings',
    description: 'Checks that the API accepts the credentials.',
    properties: { apiUrl, jwtToken },
    async run ({ apiUrl, jwtToken }, signal) {
      await callApi('/settings/validate', { apiUrl, jwtToken, signal, body: { apiUrl, jwtToken } })
      return { message: 'The API accepts the credentials.' }
    }
  },

  list_sources: {
    title: 'List sources',
    description: 'Lists the data sources that the user can ask questions about.',
    properties: { apiUrl, jwtToken, search: schemas.search, page: schemas.page, limit: schemas.limit },
    optional: ['search', 'page', 'limit'],
    async run ({ apiUrl, jwtToken, search, page, limit }, signal) {
      const query = new URLSearchParams({ search: search ?? '', page: page ?? 1, limit: limit ?? 10 })
      const { sources, pagination } = await callApi(`/sources?${query}`, { apiUrl, jwtToken, signal })
      return { sources, pagination }
    }
  },

  analyze_source_structure: {
    title: 'Analyze source structure',
    description: 'Reads a source and says what its columns are: types, ranges, values.',
    properties: { apiUrl, jwtToken, sourceId: schemas.sourceId },
    async run ({ apiUrl, jwtToken, sourceId }, signal) {
      const path = `/sources/${encodeURIComponent(sourceId)}`
      const { source } = await callApi(path, { apiUrl, jwtToken, signal })
      const { rows } = await callApi(`${path}/rows`, { apiUrl, jwtToken, signal })
      return { columnAnalysis: analyzeColumns(rows), sourceStructure: source }
    }
  },

  generate_strategy: {
    title: 'Generate strategy',
    description: 'Decides which columns and which charts answer the question.',
    properties: { question, columnAnalysis },
    run: ({ question, columnAnalysis }) => ({ strategy: planStrategy(question, columnAnalysis) })
  },

  create_configuration: {
    title: 'Create configuration',
    description: 'Writes the strategy as markdown that the user can read and edit.',
    properties: { question, columnAnalysis, strategy: schemas.strategy },
    run ({ question, columnAnalysis, strategy }) {
      const markdownConfig = writeConfiguration(question, strategy)
      // The strategy may have been changed on its way here: better refused now than after the user has read it.
      parseConfiguration(markdownConfig, { sourceId: 'not known yet', columns: columnAnalysis })
      return { markdownConfig }
    }
  },

  create_dashboard: {
    title: 'Create dashboard',
    description: 'Makes a dashboard of the markdown and returns the address of its page.',
    properties: { apiUrl, jwtToken, markdownConfig: schemas.markdownConfig, sourceStructure: schemas.sourceStructure },
    writes: true,
    async run ({ apiUrl, jwtToken, markdownConfig, sourceStructure }, signal) {
      const { title, charts } = parseConfiguration(markdownConfig, sourceStructure)
      const dashboard = { title, sourceId: sourceStructure.sourceId, charts }
      const { path } = await callApi('/dashboards', { apiUrl, jwtToken, signal, body: dashboard })
      return { dashboardUrl: resolveUrl(apiUrl, path), chartConfigs: charts }
    }
  },

  get_charts_data: {
    title: 'Get charts data',
    description: 'Fetches the rows of every chart. They are many: analyze_charts takes them, and here they are only counted.',
    properties: { apiUrl, jwtToken, chartConfigs },
    async run ({ apiUrl, jwtToken, chartConfigs }, signal) {
      const chartData = []
      for (const [sourceId, configs] of bySource(chartConfigs)) {
        const { rows } = await callApi(`/sources/${encodeURIComponent(sourceId)}/rows`, { apiUrl, jwtToken, signal })
        const columns = analyzeColumns(rows)
        chartData.push(...configs.map(config => selectChartData(checkChart(config, columns), rows)))
      }
      return {
        charts: chartData.map(({ config, rows }) => ({ name: config.name, rowCount: rows.length })),
        // Never meant for a model: whoever calls this tool hands it on to the next one.
        intermediate: { chartData }
      }
    }
  },

  analyze_charts: {
    title: 'Analyze charts',
    description: 'Computes what the charts say: extremes, trends, shares, correlations.',
    properties: { chartData: schemas.chartData, question },
    run: ({ chartData, question }) => ({ insights: analyzeCharts(chartData, question) })
  }
}

/** @param {ChartConfig[]} configs */
function bySource (configs) {
  /** @type {Map<string, ChartConfig[]>} */
  const groups = new Map()
  for (const config of configs) groups.set(config.sourceId, [...groups.get(config.sourceId) ?? [], config])
  return groups
}
