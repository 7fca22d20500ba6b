// @ts-check
import { AGGREGATES, CHART_TYPES, MAX_CHARTS, SORT_ORDERS, TIME_UNITS } from '../analysis/charts.mjs'

/**
 * JSON Schemas of the tools' inputs. They are exact about what is used and silent about the rest, so that a value
 * that one tool returned fits the next one as it is.
 */

const text = { type: 'string', minLength: 1 }
const filters = {
  type: 'array',
  items: {
    type: 'object',
    properties: { column: text, values: { type: 'array', items: { type: 'string' } } },
    required: ['column', 'values']
  }
}
const chart = {
  type: 'object',
  properties: {
    name: text,
    chart: { type: 'string', enum: CHART_TYPES },
    x: text,
    y: text,
    aggregate: { type: 'string', enum: AGGREGATES },
    timeUnit: { type: 'string', enum: TIME_UNITS },
    splitBy: text,
    sort: { type: 'string', enum: SORT_ORDERS },
    limit: { type: 'integer', minimum: 1, maximum: 100 },
    only: filters
  },
  required: ['name', 'chart', 'x']
}
const sourceChart = { ...chart, properties: { ...chart.properties, sourceId: text }, required: [...chart.required, 'sourceId'] }

export const apiUrl = { ...text, description: 'Base URL of the API, for example http://127.0.0.1:8765.' }
export const jwtToken = { ...text, description: 'Token of the signed-in user. Secret.' }
export const question = { ...text, maxLength: 2000, description: 'What the user wants to know, in their own words.' }
export const sourceId = { ...text, maxLength: 100, description: 'The id of a source, from list_sources.' }
export const search = { type: 'string', maxLength: 200, description: 'Words that the source must contain; empty for all sources.' }
export const page = { type: 'integer', minimum: 1, description: 'Page of the list, from 1.' }
export const limit = { type: 'integer', minimum: 1, maximum: 100, description: 'Sources on a page; 10 unless told.' }

export const columnAnalysis = {
  type: 'array',
  minItems: 1,
  description: 'What is known of each column, from analyze_source_structure.',
  items: {
    type: 'object',
    properties: {
      name: text,
      type: { type: 'string', enum: ['number', 'time', 'category', 'text'] },
      distinct: { type: 'integer' },
      first: { type: 'string' },
      last: { type: 'string' },
      granularity: { type: 'string', enum: ['year', 'month', 'day'] },
      values: { type: 'array', items: { type: 'string' } }
    },
    required: ['name', 'type']
  }
}

export const sourceStructure = {
  type: 'object',
  description: 'The source and its columns, from analyze_source_structure.',
  properties: {
    sourceId,
    columns: {
      type: 'array',
      minItems: 1,
      items: { type: 'object', properties: { name: text, type: text }, required: ['name', 'type'] }
    }
  },
  required: ['sourceId', 'columns']
}

export const strategy = {
  type: 'object',
  description: 'Which charts answer the question, from generate_strategy.',
  properties: {
    charts: { type: 'array', minItems: 1, maxItems: MAX_CHARTS, items: chart },
    notes: { type: 'array', items: { type: 'string' } }
  },
  required: ['charts']
}

export const markdownConfig = { ...text, maxLength: 64_000, description: 'The dashboard as markdown, from create_configuration; it may have been edited.' }

export const chartConfigs = {
  type: 'array',
  minItems: 1,
  maxItems: MAX_CHARTS,
  description: 'The charts of the dashboard, from create_dashboard.',
  items: sourceChart
}

export const chartData = {
  type: 'array',
  minItems: 1,
  maxItems: MAX_CHARTS,
  description: 'The rows of every chart, from get_charts_data.',
  items: {
    type: 'object',
    properties: {
      config: sourceChart,
      columns: { type: 'array', items: { type: 'string' } },
      rows: { type: 'array', items: { type: 'array' } }
    },
    required: ['config', 'columns', 'rows']
  }
}
