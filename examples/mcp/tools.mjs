// @ts-check
import { groups } from 'd3-array'
import * as z from 'zod'
import { ChartDataSchema, ChartSchema, MAX_CHARTS, checkChart, selectChartData } from '../analysis/charts.mjs'
import { ColumnSchema, analyzeColumns } from '../analysis/columns.mjs'
import { parseConfiguration, writeConfiguration } from '../analysis/configuration.mjs'
import { analyzeCharts } from '../analysis/insights.mjs'
import { StrategySchema, planStrategy } from '../analysis/strategy.mjs'
import { callApi, resolveUrl } from './demo-api-client.mjs'

const text = z.string().min(1)
const apiUrl = text.describe('Base URL of the API, for example http://127.0.0.1:8765.')
const jwtToken = text.describe('Token of the signed-in user. Secret.')
const search = z.string().max(200).optional().describe('Words that the source must contain; empty for all sources.')
const page = z.int().min(1).max(10_000).optional().describe('Page of the list, from 1.')
const limit = z.int().min(1).max(100).optional().describe('Sources on a page; 10 unless told.')
const sourceId = text.max(100).describe('From list_sources: the id of a source.')
const question = text.max(2000).describe('What the user wants to know, in their own words.')
const columnAnalysis = z.array(ColumnSchema).min(1).describe('From analyze_source_structure: what each column is.')
const sourceStructure = z.object({ sourceId, columns: z.array(ColumnSchema.pick({ name: true, type: true })).min(1) })
  .describe('From analyze_source_structure: the source and its columns.')
const strategy = StrategySchema.describe('From generate_strategy: which charts answer the question.')
const markdownConfig = text.max(64_000).describe('From create_configuration: the dashboard as markdown, edited or not.')
const chartConfigs = z.array(ChartSchema).min(1).max(MAX_CHARTS).describe('From create_dashboard: its charts.')
const chartData = z.array(ChartDataSchema).min(1).max(MAX_CHARTS).describe('From get_charts_data: their rows.')

/**
 * The tools in the order in which they are used. What one returns under a name, a later one takes under that name.
 * Only those that talk to the API declare the credentials. `run` takes what fits the input's schemas, and throws an
 * InputError for what the caller can put right.
 */
export const tools = {
  validate_settings: {
    description: 'Checks that the API accepts the credentials.',
    input: { apiUrl, jwtToken },
    async run ({ apiUrl, jwtToken }, signal) {
      await callApi('/settings/validate', { apiUrl, jwtToken, signal, body: { apiUrl, jwtToken } })
      return { message: 'The API accepts the credentials.' }
    }
  },

  list_sources: {
    description: 'Lists the data sources that the user can ask questions about.',
    input: { apiUrl, jwtToken, search, page, limit },
    async run ({ apiUrl, jwtToken, search = '', page = 1, limit = 10 }, signal) {
      const query = new URLSearchParams({ search, page: String(page), limit: String(limit) })
      const { sources, pagination } = await callApi(`/sources?${query}`, { apiUrl, jwtToken, signal })
      return { sources, pagination }
    }
  },

  analyze_source_structure: {
    description: 'Reads a source and says what its columns are: types, ranges, values.',
    input: { apiUrl, jwtToken, sourceId },
    async run ({ apiUrl, jwtToken, sourceId }, signal) {
      const path = `/sources/${encodeURIComponent(sourceId)}`
      const { source } = await callApi(path, { apiUrl, jwtToken, signal })
      const { rows } = await callApi(`${path}/rows`, { apiUrl, jwtToken, signal })
      return { columnAnalysis: analyzeColumns(rows), sourceStructure: source }
    }
  },

  generate_strategy: {
    description: 'Decides which columns and which charts answer the question.',
    input: { question, columnAnalysis },
    run: ({ question, columnAnalysis }) => ({ strategy: planStrategy(question, columnAnalysis) })
  },

  create_configuration: {
    description: 'Writes the strategy as markdown that the user can read and edit.',
    input: { question, columnAnalysis, strategy },
    run ({ question, columnAnalysis, strategy }) {
      const markdownConfig = writeConfiguration(question, strategy)
      // The strategy may have been changed on its way here: better refused now than after the user has read it.
      parseConfiguration(markdownConfig, { sourceId: 'not known yet', columns: columnAnalysis })
      return { markdownConfig }
    }
  },

  create_dashboard: {
    description: 'Makes a dashboard of the markdown and returns the address of its page.',
    input: { apiUrl, jwtToken, markdownConfig, sourceStructure },
    writes: true,
    async run ({ apiUrl, jwtToken, markdownConfig, sourceStructure }, signal) {
      const { title, charts } = parseConfiguration(markdownConfig, sourceStructure)
      const dashboard = { title, sourceId: sourceStructure.sourceId, charts }
      const { path } = await callApi('/dashboards', { apiUrl, jwtToken, signal, body: dashboard })
      return { dashboardUrl: resolveUrl(apiUrl, path), chartConfigs: charts }
    }
  },

  get_charts_data: {
    description: 'Fetches the rows of every chart. analyze_charts takes them; here they are only counted.',
    input: { apiUrl, jwtToken, chartConfigs },
    async run ({ apiUrl, jwtToken, chartConfigs }, signal) {
      const chartData = []
      for (const [sourceId, configs] of groups(chartConfigs, config => config.sourceId)) {
        const { rows } = await callApi(`/sources/${encodeURIComponent(sourceId)}/rows`, { apiUrl, jwtToken, signal })
        const columns = analyzeColumns(rows)
        chartData.push(...configs.map(config => selectChartData(checkChart(config, columns), rows)))
      }
      const charts = chartData.map(({ config, rows }) => ({ name: config.name, rowCount: rows.length }))
      // Never meant for a model: the caller of this tool hands it on to the next one.
      return { charts, intermediate: { chartData } }
    }
  },

  analyze_charts: {
    description: 'Computes what the charts say: extremes, trends, shares, correlations.',
    input: { chartData, question },
    run: ({ chartData, question }) => ({ insights: analyzeCharts(chartData, question) })
  }
}
