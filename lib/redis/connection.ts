import type { Command } from 'ioredis'
import { StoreStartError } from '../errors.ts'
import { reconnectDelayMs, createRedisClient, type RedisClient } from './client.ts'
import { isTrouble, reasonOf } from './failure.ts'
import { createOutage, type RedisEvents } from './outage.ts'
import { type RedisConfig, resolveAddress } from './address.ts'
import { probeRedis } from './probe.ts'

export interface RedisConnection {
  client: RedisClient
  /** Where it is, without the password. */
  place: string
  /** Says goodbye when Redis listens, hangs up when it does not. Takes at most half a second, never rejects. */
  close: () => Promise<void>
}

export interface OpenRedisOptions extends RedisEvents {
  /** For the key that is written to find out whether Redis is well again. */
  keyPrefix: string
}

const readyTimeoutMs = 5_000
const quitTimeoutMs = 500

/**
 * Connects, and waits until Redis is ready for commands.
 *
 * How long to wait for an answer to a command is for whoever asks.
 * Rejects with StoreStartError, which names the place and the reason, when Redis is not ready within 5 s; with ConfigError
 * when the file of the certificate authority cannot be used.
 */
export async function openRedis (options: RedisConfig, { keyPrefix, onLost, onRestored }: OpenRedisOptions): Promise<RedisConnection> {
  const place = resolveAddress(options)
  const client = createRedisClient(place, options.commandTimeoutMs)
  let lastError: Error | null = null
  const keepReason = (error: Error & { lastNodeError?: Error }, node?: string) => {
    lastError = new Error(`${node === undefined ? '' : `${node}: `}${reasonOf(error.lastNodeError ?? error)}`)
  }
  client.on('error', keepReason).on('node error', keepReason)

  try {
    await becomeReady(client, () => lastError)
  } catch (error) {
    client.disconnect()
    throw new StoreStartError(place.name, (error as Error).message)
  }
  lastError = null

  const outage = createOutage({ probe: () => probeRedis(client, keyPrefix), onLost, onRestored })
  observeFailures(client, outage.failed)
  client.on('close', () => outage.failed(lastError ?? new Error('the connection was closed')))
  client.on('ready', () => { lastError = null })
  let isClosing = false
  // ioredis gives up when a sentinel tells of a new primary while it is about to connect to the old one.
  client.on('end', () => {
    if (!isClosing) setTimeout(() => { client.connect().catch(() => {}) }, reconnectDelayMs(1)).unref()
  })

  return {
    client,
    place: place.name,
    async close () {
      isClosing = true
      outage.stop() // a goodbye is no outage
      if (client.status === 'ready') {
        const timeout = new Promise(resolve => setTimeout(resolve, quitTimeoutMs).unref())
        await Promise.race([client.quit().catch(() => {}), timeout]) // it may break off while we say goodbye: then it is over, too
      }
      client.disconnect()
    }
  }
}

/** Tells of every command that failed for a reason that others will fail for, too. Those that set up a connection are its own matter. */
function observeFailures (client: RedisClient, onFailure: (error: Error) => void): void {
  const send = client.sendCommand.bind(client)
  client.sendCommand = (command: Command, ...others: unknown[]) => {
    const answer = send(command, ...others as [])
    if (client.status === 'ready') command.promise.catch(tell)
    return answer
  }
  function tell (error: Error): void {
    const reason = reasonOf(error)
    // A connection that is closing: its end says why.
    if (isTrouble(reason) && !reason.startsWith('Stream isn')) onFailure(error)
  }
}

function becomeReady (client: RedisClient, lastError: () => Error | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(new Error(reasonOf(lastError()))), readyTimeoutMs)
    const onError = () => {
      // A refused password or a wrong database will not get better by waiting; a closed port may.
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
    client.connect().catch(() => {}) // told by the 'error' event; the client goes on trying until the deadline
  })
}
