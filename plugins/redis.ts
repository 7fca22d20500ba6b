import redis, { type FastifyRedis } from '@fastify/redis'
import fp from 'fastify-plugin'
import { type Calls, createCalls } from '../lib/calls/call-store.ts'
import { createPendingCalls, type PendingCalls } from '../lib/calls/pending-calls.ts'
import { StoreStartError } from '../lib/errors.ts'
import { createAwaitCommand } from '../lib/redis/command.ts'
import { openRedis, unconnectedRedis } from '../lib/redis/connection.ts'
import { reasonOf } from '../lib/redis/failure.ts'
import { createSharedTexts, type SharedTexts } from '../lib/redis/shared-texts.ts'
import { createArgumentDigest, type DigestArguments, loadSessionNamer } from '../lib/sessions/audit-name.ts'
import { createSealing } from '../lib/sessions/field-encryption.ts'
import { createSealedTexts } from '../lib/sessions/sealed-texts.ts'
import { createSessionRepository, type SessionRepository } from '../lib/sessions/session-repository.ts'
import { events } from '../lib/telemetry/channels.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The sessions. */
    readonly sessions: SessionRepository
    /** Names the arguments of a call in the audit log. */
    readonly argumentsForLog: DigestArguments
    /** What sessions keep of their tool calls. */
    readonly calls: Calls
    /** Those that wait for answers of their callers. */
    readonly pendingCalls: PendingCalls
    /** What all workers know of the MCP servers: their eras, and what they offer, by the identity of an entry. */
    readonly serverFacts: { readonly eras: SharedTexts, readonly lists: SharedTexts }
  }
}

/**
 * A server that was upgraded speaks its old era, too, and would be asked in it for ever: after a day, it is asked
 * again (s).
 */
const factsTtlSeconds = 86_400

/** A service that is only described has no sessions. */
const noName = () => ''

/**
 * The connection to Redis, and the sessions in it.
 *
 * @fastify/redis gets our client. Its own would wait for ever where ours gives the reason within seconds, and its
 * `quit()` at close would reject while Redis is down.
 */
export default fp(async (fastify) => {
  const { redis: options, session, sensitiveParams, encryptionKeys, apiKeys, serverScript } = fastify.config
  const { isDescribed } = fastify.config
  const unconnected = isDescribed ? unconnectedRedis(options) : null
  const { client, address, close } = unconnected ?? await openRedis(options, {
    keyPrefix: session.keyPrefix,
    onLost (err) {
      fastify.log.error({ err }, 'redis lost')
      events.redisLost.publish(null)
    },
    onRestored () {
      fastify.log.info('redis restored')
      events.redisRestored.publish(null)
    },
    onVersionUnknown: err => fastify.log.debug({ err }, 'redis does not say its version')
  })
  fastify.addHook('onClose', close)
  // The plugin would wait until the client is connected.
  if (isDescribed) fastify.decorate('redis', client as FastifyRedis)
  else await fastify.register(redis, { client })

  const { commandTimeoutMs } = options
  const { keyPrefix, maxBytes } = session
  const inTime = createAwaitCommand(commandTimeoutMs)
  const nameSession = isDescribed
    ? noName
    : await loadSessionNamer(client, keyPrefix, inTime).catch((error: Error) => {
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
  fastify.decorate('argumentsForLog', createArgumentDigest(encryptionKeys, nameSession))
  const calls = createCalls(client, { ...fastify.config.calls, keyPrefix, maxBytes, commandTimeoutMs })
  fastify.decorate('calls', calls)
  fastify.decorate('pendingCalls', createPendingCalls(client, calls, commandTimeoutMs))
  const sharedTexts = (kind: string) =>
    createSharedTexts(client, { prefix: `${kind}:${keyPrefix}`, ttlSeconds: factsTtlSeconds, commandTimeoutMs })
  const listSeal = createSealing(encryptionKeys)('mcp_lists', keyPrefix)
  fastify.decorate('serverFacts', {
    eras: sharedTexts('mcp_era'),
    lists: createSealedTexts(sharedTexts('mcp_lists'), listSeal)
  })
}, {
  name: 'redis',
  dependencies: [
    'config',
    'server-config', 'guidance' // order: the operator's files are checked before anything is connected
  ]
})
