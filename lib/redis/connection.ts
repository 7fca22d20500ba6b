import type { Command } from 'ioredis'
import { StoreStartError } from '../errors.ts'
import { watchCommand } from '../telemetry/channels.ts'
import { type RedisConfig, resolveAddress } from './address.ts'
import { createRedisClient, reconnectDelayMs, type RedisClient } from './client.ts'
import { meansUnavailable, reasonOf } from './failure.ts'
import { createOutage, type RedisEvents } from './outage.ts'
import { probeRedis } from './probe.ts'
import { faultOfVersion } from './server-version.ts'

export interface RedisConnection {
  client: RedisClient
  /** Where Redis is, without the password. */
  address: string
  /** Sends QUIT to a Redis that listens, else hangs up. Takes at most half a second, never rejects. */
  close: () => Promise<void>
}

export interface OpenRedisOptions extends RedisEvents {
  /** For the key that is written to find out whether an outage is over. */
  keyPrefix: string
  /** Called when Redis does not say its version. A managed Redis may refuse INFO. */
  onVersionUnknown?: (error: Error) => void
}

const readyTimeoutMs = 5_000
const quitTimeoutMs = 500

/**
 * Connects, and waits until Redis is ready for commands.
 *
 * Does not bound how long a command may take; createAwaitCommand does.
 * Rejects with StoreStartError, which names the address and the reason, when Redis is not ready within 5 s or is too
 * old; with ConfigError when the file of the certificate authority cannot be used.
 */
export async function openRedis (config: RedisConfig, options: OpenRedisOptions): Promise<RedisConnection> {
  const { keyPrefix, onLost, onRestored, onVersionUnknown } = options
  const address = resolveAddress(config)
  const client = createRedisClient(address, config.commandTimeoutMs)
  let lastError: Error | null = null
  const keepReason = (error: Error & { lastNodeError?: Error }, node?: string) => {
    lastError = new Error(`${node === undefined ? '' : `${node}: `}${reasonOf(error.lastNodeError ?? error)}`)
  }
  client.on('error', keepReason).on('node error', keepReason)

  try {
    await becomeReady(client, () => lastError)
    const fault = await faultOfVersion(client, config.commandTimeoutMs).catch((error: Error) => {
      onVersionUnknown?.(new Error(reasonOf(error)))
      return null
    })
    if (fault !== null) throw new Error(fault)
  } catch (error) {
    client.disconnect()
    throw new StoreStartError(address.name, reasonOf(error))
  }
  lastError = null

  const outage = createOutage({ probe: () => probeRedis(client, keyPrefix), onLost, onRestored })
  observeFailures(client, outage.failed)
  client.on('close', () => outage.failed(lastError ?? new Error('the connection was closed')))
  client.on('ready', () => { lastError = null })
  let isClosing = false
  // ioredis gives up when a sentinel announces a new primary while it is about to connect to the old one.
  client.on('end', () => {
    setTimeout(() => { if (!isClosing) client.connect().catch(() => {}) }, reconnectDelayMs(1)).unref()
  })

  return {
    client,
    address: address.name,
    async close () {
      isClosing = true
      outage.stop() // the end that we ask for is no outage
      if (client.status === 'ready') {
        const timeout = new Promise(resolve => setTimeout(resolve, quitTimeoutMs).unref())
        // A connection that breaks off during QUIT is closed, too.
        await Promise.race([client.quit().catch(() => {}), timeout])
      }
      client.disconnect()
    }
  }
}

/** A client that never connects, of a service that is only described. Each command fails at once. */
export function unconnectedRedis (config: RedisConfig): RedisConnection {
  const address = resolveAddress(config)
  const client = createRedisClient(address, config.commandTimeoutMs)
  return { client, address: address.name, close: async () => client.disconnect() }
}

/**
 * Reports each command that failed for a reason for which others will fail, too. Leaves out the commands that set up a
 * connection: their failure is reported as the connection's.
 */
function observeFailures (client: RedisClient, onFailure: (error: Error) => void): void {
  const send = client.sendCommand.bind(client)
  client.sendCommand = (command: Command, ...others: unknown[]) => {
    const answer = watchCommand({ command: command.name }, () => send(command, ...others as []), command.promise)
    if (client.status === 'ready') command.promise.catch(report)
    return answer
  }
  function report (error: Error): void {
    const reason = reasonOf(error)
    // `Stream isn't writeable` comes from a connection that is closing, and the event of its end gives the reason.
    if (meansUnavailable(reason) && !reason.startsWith('Stream isn')) onFailure(error)
  }
}

function becomeReady (client: RedisClient, lastError: () => Error | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(new Error(reasonOf(lastError()))), readyTimeoutMs)
    const onError = () => {
      // A refused password or a wrong database stays so, however long we wait; a closed port may open.
      if (/\b(WRONGPASS|NOAUTH|ERR )/.test(reasonOf(lastError()))) settle(new Error(reasonOf(lastError())))
    }
    const onReady = () => settle()
    function settle (error?: Error): void {
      clearTimeout(timer)
      client.off('error', onError).off('node error', onError).off('ready', onReady)
      if (error === undefined) resolve()
      else reject(error)
    }
    client.on('error', onError).on('node error', onError).once('ready', onReady)
    // The 'error' event reports a failure, and the client goes on trying until the deadline.
    client.connect().catch(() => {})
  })
}
