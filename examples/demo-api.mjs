// @ts-check
import { once } from 'node:events'
import { realpathSync } from 'node:fs'
import { createServer } from 'node:http'
import { createDashboards } from './api/dashboards.mjs'
import { HttpError, sendJson } from './api/json-http.mjs'
import { createRoutes, findRoute } from './api/routes.mjs'
import { createSources } from './api/sources.mjs'
import { DEMO_SECRET, createTokenVerifier, signDemoToken } from './api/tokens.mjs'
import { InputError } from './analysis/input-error.mjs'

/** @import { Server, ServerResponse } from 'node:http' */
/** @import { AddressInfo } from 'node:net' */

export { DEMO_SECRET, signDemoToken }

const CLOSE_GRACE_MS = 1000

/**
 * Starts the HTTP API that the demo works on: it checks credentials, and has sources, their rows, and dashboards.
 * `close` lets running requests end for a second; it may be called twice.
 * @param {{ port?: number | undefined, host?: string | undefined, secret?: string | undefined }} [options] port 0 takes any that is free
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function startDemoApi ({ port = 0, host = '127.0.0.1', secret = DEMO_SECRET } = {}) {
  const verifyToken = createTokenVerifier(secret)
  const routes = createRoutes({ sources: createSources(), dashboards: createDashboards({ capacity: 100 }), verifyToken })

  const server = createServer(async (request, response) => {
    try {
      const { route, id, query } = findRoute(routes, request)
      if (route.protected) await verifyToken(bearerToken(request.headers.authorization))
      await route.handle({ request, response, id, query })
    } catch (error) {
      // A body that was not read to its end must still be taken from the socket, or the caller never sees the answer.
      request.resume()
      answerError(response, error)
    }
  })
  server.requestTimeout = 10_000
  server.listen(port, host)
  await once(server, 'listening')

  const { port: boundPort } = /** @type {AddressInfo} */ (server.address())
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}`, close: () => closeServer(server) }
}

/** @param {string | undefined} header */
function bearerToken (header) {
  const [, token] = /^Bearer +(\S+)$/i.exec(header ?? '') ?? []
  if (token === undefined) throw new HttpError(401, 'The header "Authorization: Bearer <token>" is missing.')
  return token
}

/**
 * @param {ServerResponse} response
 * @param {unknown} error
 */
function answerError (response, error) {
  if (response.headersSent || response.destroyed) {
    response.destroy()
  } else if (error instanceof HttpError) {
    if (error.status === 401) response.setHeader('www-authenticate', 'Bearer')
    sendJson(response, error.status, { status: 'error', error: error.message })
  } else if (error instanceof InputError) {
    sendJson(response, 400, { status: 'error', error: error.message })
  } else {
    console.error('demo API:', error)
    sendJson(response, 500, { status: 'error', error: 'The demo API failed; its log says why.' })
  }
}

/** @param {Server} server */
async function closeServer (server) {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
  await closed
  clearTimeout(grace)
}

// Node follows links to a script, and says here how it was called.
if (process.argv[1] !== undefined && import.meta.filename === realpathSync(process.argv[1])) {
  const { DEMO_API_PORT: port = '8765', DEMO_API_HOST: host, DEMO_API_SECRET: secret } = process.env
  const api = await startDemoApi({ port: Number(port), host, secret })
  console.log(`The demo API listens on ${api.url}`)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => api.close())
}
