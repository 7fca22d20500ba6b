import fastify from 'fastify'
import { randomBytes } from 'node:crypto'
import { realpathSync } from 'node:fs'
import * as z from 'zod'
import { MAX_CHARTS, checkChart } from './analysis/charts.mjs'
import { InputError } from './analysis/input-error.mjs'
import { listSources, loadSource } from './api/sources.mjs'
import { DEMO_SECRET, signDemoToken, verifyToken } from './api/tokens.mjs'

export { DEMO_SECRET, signDemoToken }

const CLOSE_GRACE_MS = 1000
const MAX_DASHBOARDS = 100
const notFound = sentence => new InputError(sentence, { statusCode: 404 })
// The page holds text that callers chose. It needs no script and loads nothing, so neither is allowed.
const PAGE_HEADERS = {
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer'
}
const text = z.string().min(1)
const whole = (max, otherwise) => z.coerce.number().int().min(1).max(max).default(otherwise)
const CredentialsSchema = z.object({ apiUrl: text, jwtToken: text })
const ListSchema = z.object({ search: z.string().default(''), page: whole(10_000, 1), limit: whole(100, 10) })
const DashboardSchema = z.object({ title: text, sourceId: text, charts: z.array(z.unknown()).min(1).max(MAX_CHARTS) })
const DASHBOARD = `A dashboard needs a "title" and a "sourceId", and as "charts" a list of 1 to ${MAX_CHARTS} charts.`

/** Starts the HTTP API that the demo works on: it checks credentials, and has sources, their rows, and dashboards. */
export async function startDemoApi ({ port = 0, host = '127.0.0.1', secret = DEMO_SECRET } = {}) {
  const app = fastify({ bodyLimit: 256 * 1024, requestTimeout: 10_000, frameworkErrors: answerError })
  // Knowing an id is enough to read a dashboard, so ids cannot be guessed.
  const dashboards = new Map()

  app.setErrorHandler(answerError)
  app.setNotFoundHandler(({ method, url }) => { throw notFound(`There is no ${method} ${url}.`) })
  // Every body is JSON, whatever its Content-Type says.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'))
  app.addHook('onRequest', async (request, reply) => { reply.header('x-content-type-options', 'nosniff') })

  app.post('/settings/validate', async ({ body }) => {
    const { jwtToken } = read(CredentialsSchema, body, 'The body must have "apiUrl" and "jwtToken", both text.')
    await verifyToken(jwtToken, secret)
    return { status: 'success' }
  })

  app.get('/dashboards/:id', async ({ params: { id } }, reply) => {
    const dashboard = dashboards.get(id)
    if (!dashboard) throw notFound('There is no such dashboard; only the latest are kept.')
    // Drawing takes large libraries, and most runs of the API draw nothing.
    const { renderDashboard } = await import('./api/dashboard-page.mjs')
    const page = await renderDashboard(dashboard, await loadSource(dashboard.sourceId))
    return reply.headers(PAGE_HEADERS).type('text/html; charset=utf-8').send(page)
  })

  app.register(async signedIn => {
    signedIn.addHook('onRequest', async ({ headers: { authorization = '' } }) => {
      const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
      if (!token) throw new InputError('The header "Authorization: Bearer <token>" is missing.', { statusCode: 401 })
      await verifyToken(token, secret)
    })

    signedIn.get('/sources', async ({ query }) => {
      const sentence = '"page" must be a whole number from 1 to 10000, and "limit" one from 1 to 100.'
      return { status: 'success', ...listSources(read(ListSchema, query, sentence)) }
    })
    signedIn.get('/sources/:id', async ({ params: { id } }) => {
      return { status: 'success', source: (await loadSource(id)).structure }
    })
    signedIn.get('/sources/:id/rows', async ({ params: { id } }) => {
      return { status: 'success', rows: (await loadSource(id)).rows }
    })

    signedIn.post('/dashboards', async ({ body }, reply) => {
      const { title, sourceId, charts } = read(DashboardSchema, body, DASHBOARD)
      const { structure: { columns } } = await loadSource(sourceId)
      const id = randomBytes(18).toString('base64url')
      dashboards.set(id, { title, sourceId, charts: charts.map(chart => checkChart(chart, columns)) })
      if (dashboards.size > MAX_DASHBOARDS) dashboards.delete(dashboards.keys().next().value)
      return reply.code(201).send({ status: 'success', id, path: `/dashboards/${id}` })
    })
  })

  return {
    url: await app.listen({ port, host }),
    async close () {
      const grace = setTimeout(() => app.server.closeAllConnections(), CLOSE_GRACE_MS)
      await app.close()
      clearTimeout(grace)
    }
  }
}

function read (schema, value, sentence) {
  const { data } = schema.safeParse(value)
  if (!data) throw new InputError(sentence)
  return data
}

function answerError (error, request, reply) {
  const { statusCode = 500, code } = error
  if (statusCode >= 500) console.error('demo API:', error)
  if (statusCode === 401) reply.header('www-authenticate', 'Bearer')
  const message = code === 'FST_ERR_CTP_INVALID_JSON_BODY' ? 'The body is not valid JSON.' : error.message
  const sentence = statusCode < 500 ? message : 'The demo API failed; its log says why.'
  reply.code(statusCode).send({ status: 'error', error: sentence })
}

// Node follows links to a script, and says here how it was called.
if (process.argv[1] !== undefined && import.meta.filename === realpathSync(process.argv[1])) {
  const { DEMO_API_PORT: port = '8765', DEMO_API_HOST: host, DEMO_API_SECRET: secret } = process.env
  const api = await startDemoApi({ port: Number(port), host, secret })
  console.log(`The demo API listens on ${api.url}`)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => api.close())
}
