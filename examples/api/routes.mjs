// @ts-check
import { checkChart } from '../analysis/chart-check.mjs'
import { MAX_CHARTS } from '../analysis/charts.mjs'
import { renderDashboard } from './dashboard-page.mjs'
import { HttpError, readJsonObject, send, sendJson } from './json-http.mjs'

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { ChartConfig } from '../analysis/charts.mjs' */
/** @import { createDashboards } from './dashboards.mjs' */
/** @import { createSources } from './sources.mjs' */

/** @typedef {{ request: IncomingMessage, response: ServerResponse, id: string, query: URLSearchParams }} Exchange */
/** @typedef {{ method: string, path: RegExp, protected: boolean, handle: (exchange: Exchange) => Promise<void> }} Route */

const MAX_BODY_BYTES = 256 * 1024
// The page holds text that callers chose. It needs no script and loads nothing, so neither is allowed.
const PAGE_HEADERS = { 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'", 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }

/**
 * @param {object} parts
 * @param {ReturnType<typeof createSources>} parts.sources
 * @param {ReturnType<typeof createDashboards>} parts.dashboards
 * @param {(token: string) => Promise<string>} parts.verifyToken
 * @returns {Route[]}
 */
export function createRoutes ({ sources, dashboards, verifyToken }) {
  return [
    { method: 'POST', path: /^\/settings\/validate$/, protected: false, handle: validateSettings },
    { method: 'GET', path: /^\/sources$/, protected: true, handle: listSources },
    { method: 'GET', path: /^\/sources\/([^/]+)$/, protected: true, handle: showSource },
    { method: 'GET', path: /^\/sources\/([^/]+)\/rows$/, protected: true, handle: listRows },
    { method: 'POST', path: /^\/dashboards$/, protected: true, handle: addDashboard },
    { method: 'GET', path: /^\/dashboards\/([^/]+)$/, protected: false, handle: showDashboard }
  ]

  /** @param {Exchange} exchange */
  async function validateSettings ({ request, response }) {
    const { apiUrl, jwtToken } = await readJsonObject(request, MAX_BODY_BYTES)
    if (!isText(apiUrl) || !isText(jwtToken)) throw new HttpError(400, 'The body must have "apiUrl" and "jwtToken", both text.')
    await verifyToken(jwtToken)
    sendJson(response, 200, { status: 'success' })
  }

  /** @param {Exchange} exchange */
  async function listSources ({ response, query }) {
    const search = query.get('search') ?? ''
    const page = wholeNumber(query, 'page', 1, 10_000)
    const limit = wholeNumber(query, 'limit', 10, 100)
    sendJson(response, 200, { status: 'success', ...sources.list({ search, page, limit }) })
  }

  /** @param {Exchange} exchange */
  async function showSource ({ response, id }) {
    sendJson(response, 200, { status: 'success', source: (await loadSource(id)).structure })
  }

  /** @param {Exchange} exchange */
  async function listRows ({ response, id }) {
    sendJson(response, 200, { status: 'success', rows: (await loadSource(id)).rows })
  }

  /** @param {Exchange} exchange */
  async function addDashboard ({ request, response }) {
    const { title, sourceId, charts } = await readJsonObject(request, MAX_BODY_BYTES)
    if (!isText(title) || !isText(sourceId)) throw new HttpError(400, 'A dashboard needs a "title" and a "sourceId", both text.')
    const { structure } = await loadSource(sourceId)
    const id = dashboards.add({ title, sourceId, charts: chartsOf(charts, structure.columns) })
    sendJson(response, 201, { status: 'success', id, path: `/dashboards/${id}` })
  }

  /** @param {Exchange} exchange */
  async function showDashboard ({ response, id }) {
    const dashboard = dashboards.get(id)
    if (!dashboard) throw new HttpError(404, 'There is no such dashboard; only the latest are kept.')
    const { structure, rows } = await loadSource(dashboard.sourceId)
    send(response, 200, 'text/html; charset=utf-8', renderDashboard(dashboard, structure, rows), PAGE_HEADERS)
  }

  /** @param {string} id */
  async function loadSource (id) {
    const source = await sources.load(id)
    if (!source) throw new HttpError(404, `There is no source "${id}".`)
    return source
  }
}

/**
 * @param {Route[]} routes
 * @param {IncomingMessage} request
 */
export function findRoute (routes, request) {
  const [path = '', query] = (request.url ?? '').split('?', 2)
  for (const route of routes) {
    const match = request.method === route.method ? route.path.exec(path) : null
    if (match) return { route, id: decode(match[1] ?? ''), query: new URLSearchParams(query) }
  }
  throw new HttpError(404, `There is no ${request.method} ${path}.`)
}

/** @param {string} segment */
function decode (segment) {
  try {
    return decodeURIComponent(segment)
  } catch (error) {
    throw new HttpError(400, 'The path has a malformed percent sign.', { cause: error })
  }
}

/**
 * @param {unknown} charts
 * @param {Parameters<typeof checkChart>[1]} columns
 * @returns {ChartConfig[]}
 */
function chartsOf (charts, columns) {
  if (!Array.isArray(charts) || charts.length === 0 || charts.length > MAX_CHARTS) {
    throw new HttpError(400, `"charts" must be a list of 1 to ${MAX_CHARTS} charts.`)
  }
  return charts.map(chart => checkChart(chart, columns))
}

/**
 * @param {URLSearchParams} query
 * @param {string} name
 * @param {number} otherwise
 * @param {number} max
 */
function wholeNumber (query, name, otherwise, max) {
  const text = query.get(name)
  if (text === null) return otherwise
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < 1 || number > max) throw new HttpError(400, `"${name}" must be a whole number from 1 to ${max}.`)
  return number
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isText (value) {
  return typeof value === 'string' && value !== ''
}
