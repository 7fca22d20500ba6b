import redis from '@fastify/redis'
import fp from 'fastify-plugin'
import { StoreStartError } from '../lib/errors.ts'
import { createEraStore } from '../lib/mcp/client/era-store.ts'
import type { EraStore } from '../lib/mcp/client/protocol-era.ts'
import { createAwaitCommand } from '../lib/redis/command.ts'
import { openRedis } from '../lib/redis/connection.ts'
import { reasonOf } from '../lib/redis/failure.ts'
import { loadSessionNamer } from '../lib/sessions/audit-name.ts'
import { createPendingCalls, type PendingCalls } from '../lib/sessions/pending-calls.ts'
import { createSessionRepository, type SessionRepository } from '../lib/sessions/session-repository.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The sessions. */
    readonly sessions: SessionRepository
    /** Tool calls that wait for answers of their callers. */
    readonly pendingCalls: PendingCalls
    /** The MCP servers' eras, as all workers know them. */
    readonly eraStore: EraStore
  }
}

/**
 * The connection to Redis, and the sessions in it.
 *
 * @fastify/redis gets our client. Its own would wait for ever where ours gives the reason within seconds, and its
 * `quit()` at close would reject while Redis is down.
 */
export default fp(async (fastify) => {
  const { redis: options, session, sensitiveParams, encryptionKeys, apiKeys, serverScript } = fastify.config
  const { client, address, close } = await openRedis(options, {
    keyPrefix: session.keyPrefix,
    onLost: err => fastify.log.error({ err }, 'redis lost'),
    onRestored: () => fastify.log.info('redis restored'),
    onVersionUnknown: err => fastify.log.debug({ err }, 'redis does not say its version')
  })
  fastify.addHook('onClose', close)
  await fastify.register(redis, { client })

  const { commandTimeoutMs } = options
  const { keyPrefix, maxBytes } = session
  const inTime = createAwaitCommand(commandTimeoutMs)
  const nameSession = await loadSessionNamer(client, keyPrefix, inTime).catch((error: Error) => {
    throw new StoreStartError(address, reasonOf(error.cause))
  })
  fastify.decorate('sessions', createSessionRepository(client, {
    ...session,
    sharesNames: serverScript !== undefined,
    sensitiveParams,
    encryptionKeys,
    clients: [...new Set(apiKeys?.map(({ name }) => name))],
    nameSession,
    commandTimeoutMs
  }))
  fastify.decorate('pendingCalls', createPendingCalls(client, { maxBytes, commandTimeoutMs }))
  fastify.decorate('eraStore', createEraStore(client, { keyPrefix, commandTimeoutMs }))
}, {
  name: 'redis',
  dependencies: [
    'config',
    'server-config', 'guidance' // order: the operator's files are checked before anything is connected
  ]
})
