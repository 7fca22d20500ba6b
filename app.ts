import { join } from 'node:path'
import autoload from '@fastify/autoload'
import { type FastifyPluginAsync, type FastifyPluginCallback, type FastifyServerOptions, LogController } from 'fastify'
import fp from 'fastify-plugin'
import { requestIdOf } from './lib/http/request-id.ts'
import { joinLines } from './lib/log-stream.ts'
import afterResponse from './plugins/after-response.ts'
import apiKeys from './plugins/api-keys.ts'
import asyncCalls from './plugins/async-calls.ts'
import asyncRequests from './plugins/async-requests.ts'
import audit from './plugins/audit.ts'
import callEvents from './plugins/call-events.ts'
import callFacts from './plugins/call-facts.ts'
import callReplies from './plugins/call-replies.ts'
import callerAddress from './plugins/caller-address.ts'
import callerSignal from './plugins/caller-signal.ts'
import closing from './plugins/closing.ts'
import compileCache from './plugins/compile-cache.ts'
import compression from './plugins/compression.ts'
import config, { type ConfigPluginOptions } from './plugins/config.ts'
import credentialRecheck from './plugins/credential-recheck.ts'
import credentials from './plugins/credentials.ts'
import earlyAnswers from './plugins/early-answers.ts'
import errors, { answerClientError, frameworkErrors } from './plugins/errors.ts'
import guidance from './plugins/guidance.ts'
import heldCalls from './plugins/held-calls.ts'
import idempotency from './plugins/idempotency.ts'
import jsonBody from './plugins/json-body.ts'
import listRoutes from './plugins/list-routes.ts'
import masking from './plugins/masking.ts'
import metrics from './plugins/metrics.ts'
import notCached from './plugins/not-cached.ts'
import openapi from './plugins/openapi.ts'
import origins from './plugins/origins.ts'
import parameterLimit from './plugins/parameter-limit.ts'
import prompts from './plugins/prompts.ts'
import rateLimits from './plugins/rate-limits.ts'
import redis from './plugins/redis.ts'
import reload from './plugins/reload.ts'
import requestClients from './plugins/request-clients.ts'
import requestEnd from './plugins/request-end.ts'
import requestLog from './plugins/request-log.ts'
import resources from './plugins/resources.ts'
import results from './plugins/results.ts'
import responseHeaders from './plugins/response-headers.ts'
import saturation from './plugins/saturation.ts'
import schemas from './plugins/schemas.ts'
import serverConfig from './plugins/server-config.ts'
import serverRequests from './plugins/server-requests.ts'
import serverRuntime from './plugins/server-runtime.ts'
import serverSentEvents from './plugins/server-sent-events.ts'
import session from './plugins/session.ts'
import sessionLifecycle from './plugins/session-lifecycle.ts'
import sessionReference from './plugins/session-reference.ts'
import toolCalls from './plugins/tool-calls.ts'
import toolOperations from './plugins/tool-operations.ts'
import traces from './plugins/traces.ts'
import workerMetrics from './plugins/worker-metrics.ts'
import waitingCalls from './plugins/waiting-calls.ts'
import webhooks from './plugins/webhooks.ts'
import writeTimeout from './plugins/write-timeout.ts'

const logLines = joinLines()

/**
 * Server options, which fastify-cli applies when started with `--options`. The service works without them. They add a
 * second lock on secrets, the usual body of failures where there is no route yet, and fewer log lines.
 */
export const options: FastifyServerOptions = {
  logController: new LogController({ disableRequestLogging: true }),
  // Loading on a busy machine and waiting for Redis may take more than Fastify's 10 s, and its timeout names no cause.
  pluginTimeout: 60_000,
  // Longer than load balancers keep an idle connection, usually 60 s: this side must not close one that they still use.
  keepAliveTimeout: 72_000,
  // A body that trickles in must not hold a connection for ever.
  requestTimeout: 120_000,
  // The name of a value is part of a path.
  routerOptions: { maxParamLength: 4_096 },
  // A request on an open connection is still answered while the service closes; the connection ends after it.
  return503OnClosing: false,
  // `frameworkErrors` is typed for a server without options of its own; ours is the plain HTTP one.
  frameworkErrors: frameworkErrors as NonNullable<FastifyServerOptions['frameworkErrors']>,
  clientErrorHandler: answerClientError,
  genReqId: ({ headers }) => requestIdOf(headers['x-request-id']),
  logger: {
    ...(logLines !== null && { stream: logLines }),
    formatters: { level: name => ({ level: name }) },
    redact: [
      'jwtToken', 'apiUrl', 'credentials', 'password', 'session_token',
      '*.jwtToken', '*.apiUrl', '*.credentials', '*.password', '*.session_token',
      'req.headers.authorization', '["x-api-key"]', '*["x-api-key"]', 'req.headers["x-api-key"]'
    ]
  }
}

type Plugin = FastifyPluginAsync<ConfigPluginOptions> | FastifyPluginCallback<ConfigPluginOptions>

/** The life of a request in phases, and the plugins of each phase in their order. */
const phases: Record<string, Plugin[]> = {
  // The settings, and the Redis that they name. A fault in them ends the start here.
  start: [config, metrics, compileCache, serverConfig, guidance, redis],
  // HTTP: how a request ends, who calls about which session, and the form of bodies and answers.
  edge: [
    errors, responseHeaders, requestEnd, traces, afterResponse, callerSignal, requestLog, closing, saturation,
    earlyAnswers, callerAddress, serverSentEvents, asyncRequests, origins, apiKeys, sessionReference, audit,
    schemas, jsonBody, parameterLimit, notCached, writeTimeout, compression
  ],
  // The caller's session: counted, loaded, its idle TTL restarted.
  session: [rateLimits, idempotency, session, heldCalls, credentials],
  // The MCP servers of this worker, and the clients of one request.
  mcp: [serverRuntime, reload, requestClients, masking, credentialRecheck, serverRequests, workerMetrics],
  // The operations behind the routes, and their description.
  operations: [
    sessionLifecycle, results, resources, prompts, webhooks, asyncCalls, callEvents, waitingCalls, callFacts, toolCalls,
    callReplies, openapi, toolOperations, listRoutes
  ]
}

/** One plugin of all plugins of a phase, so that `fastify print-plugins` shows them together. */
const createPhase = (name: string, plugins: readonly Plugin[]) => fp<ConfigPluginOptions>(async (fastify, opts) => {
  for (const plugin of plugins) await fastify.register(plugin, opts)
}, { name: `${name} phase` })

/** Plugins are listed because their order matters. Routes are loaded from their folder because theirs does not. */
const app: FastifyPluginAsync<ConfigPluginOptions> = async (fastify, opts) => {
  logLines?.onLost(count => fastify.log.error({ count }, 'log lines were lost'))
  // Only what the plugins need: with --options, opts holds the server's options, too.
  for (const [name, plugins] of Object.entries(phases)) {
    await fastify.register(createPhase(name, plugins), { env: opts.env, isDescribed: opts.isDescribed })
  }
  await fastify.register(autoload, {
    dir: join(import.meta.dirname, 'routes'), forceESM: true, options: { prefix: fastify.config.basePath }
  })
}

export default app
