import { join } from 'node:path'
import autoload from '@fastify/autoload'
import { type FastifyPluginAsync, type FastifyServerOptions, LogController } from 'fastify'
import type { ConfigPluginOptions } from './plugins/config.ts'
import { answerClientError, frameworkErrors } from './plugins/errors.ts'

/**
 * Server options, which fastify-cli applies when started with `--options`. The service works without them; they add a second
 * lock on secrets, failures in our shape also where Fastify has no route yet, and fewer log lines.
 */
export const options: FastifyServerOptions = {
  logController: new LogController({ disableRequestLogging: true }),
  // Loading on a busy machine and waiting for Redis can take longer than the usual 10 s, at whose end nobody says what was wrong.
  pluginTimeout: 60_000,
  // Longer than a load balancer keeps an idle connection (60 s is usual), so that it is never we who close one in use.
  keepAliveTimeout: 72_000,
  // A body that trickles in must not hold a connection for ever.
  requestTimeout: 120_000,
  // A request on an open connection is answered also while we close; the connection ends after it.
  return503OnClosing: false,
  // `frameworkErrors` is typed for a server without options of its own; ours is the plain HTTP one.
  frameworkErrors: frameworkErrors as NonNullable<FastifyServerOptions['frameworkErrors']>,
  clientErrorHandler: answerClientError,
  logger: {
    redact: [
      'jwtToken', 'apiUrl', 'credentials', 'password', 'session_token', '*.jwtToken', '*.apiUrl', '*.credentials', '*.password', '*.session_token',
      'req.headers.authorization', '["x-api-key"]', '*["x-api-key"]', 'req.headers["x-api-key"]'
    ]
  }
}

/** plugins/ is the life of a request, in the order of their dependencies; routes/ is the public API. */
const app: FastifyPluginAsync<ConfigPluginOptions> = async (fastify, opts) => {
  const folder = (name: string) => join(import.meta.dirname, name)
  await fastify.register(autoload, {
    dir: folder('plugins'),
    forceESM: true,
    // Only what the plugins need: with --options, opts holds the server's options, too.
    options: { env: opts.env }
  })
  await fastify.register(autoload, { dir: folder('routes'), forceESM: true })
}

export default app
