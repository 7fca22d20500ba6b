import redis from '@fastify/redis'
import fp from 'fastify-plugin'
import { loadSessionNamer } from '../lib/sessions/audit-name.ts'
import { StoreStartError } from '../lib/errors.ts'
import { createEraStore } from '../lib/mcp/client/era-store.ts'
import type { EraStore } from '../lib/mcp/client/protocol-era.ts'
import { createPendingCalls, type PendingCalls } from '../lib/sessions/pending-calls.ts'
import { openRedis } from '../lib/redis/connection.ts'
import { createAwaitCommand } from '../lib/redis/command.ts'
import { reasonOf } from '../lib/redis/failure.ts'
import { createSessionRepository, type SessionRepository } from '../lib/sessions/session-repository.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The sessions. */
    readonly sessions: SessionRepository
    /** Tool calls that wait for answers of their callers. */
    readonly pendingCalls: PendingCalls
    /** What the workers know of the MCP servers' eras. */
    readonly eraStore: EraStore
  }
}

/**
 * The connection to Redis, and the sessions in it.
 *
 * The client is ours and not made by @fastify/redis: its own client waits for ever where ours says within seconds what is
 * wrong, and its `quit()` at close rejects while Redis is down.
 */
export default fp(async (fastify) => {
  const { redis: options, session, sensitiveParams, encryptionKeys, apiKeys } = fastify.config
  const connection = await openRedis(options, {
    keyPrefix: session.keyPrefix,
    onLost: err => fastify.log.error({ err }, 'redis lost'),
    onRestored: () => fastify.log.info('redis restored')
  })
  fastify.addHook('onClose', () => connection.close())
  await fastify.register(redis, { client: connection.client })
  const { commandTimeoutMs } = options
  const nameSession = await loadSessionNamer(connection.client, session.keyPrefix, createAwaitCommand(commandTimeoutMs)).catch((error: Error) => {
    throw new StoreStartError(connection.place, reasonOf(error.cause))
  })
  const clients = [...new Set(apiKeys?.map(({ name }) => name))]
  fastify.decorate('sessions', createSessionRepository(connection.client, { ...session, sensitiveParams, encryptionKeys, clients, nameSession, commandTimeoutMs }))
  fastify.decorate('pendingCalls', createPendingCalls(connection.client, { maxBytes: session.maxBytes, commandTimeoutMs }))
  fastify.decorate('eraStore', createEraStore(connection.client, { keyPrefix: session.keyPrefix, commandTimeoutMs }))
}, {
  name: 'redis',
  dependencies: [
    'config',
    'server-config', 'guidance' // order: what the operator wrote is checked before anything is connected
  ]
})
