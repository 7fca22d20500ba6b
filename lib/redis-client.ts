import { type CommonRedisOptions, Redis } from 'ioredis'
import { batchWrites } from './batched-writes.ts'
import type { Config } from './config.ts'
import { StoreStartError } from './errors.ts'

export interface RedisConnection {
  client: Redis
  /** Says goodbye when Redis listens, hangs up when it does not. Takes at most half a second, never rejects. */
  close: () => Promise<void>
}

export interface RedisEvents {
  /** The first failure of an outage; not the ones after it. */
  onLost: (error: Error) => void
  onRestored: () => void
}

const readyTimeoutMs = 5_000
const quitTimeoutMs = 500

/**
 * Connects, and waits until Redis is ready for commands.
 *
 * The options make an outage harmless: a command fails at once when there is no connection, nothing is queued and nothing
 * is sent twice, and the client goes on connecting until it succeeds. How long to wait for an answer is for whoever asks.
 * Rejects with StoreStartError, which names the place and the reason, when Redis is not ready within 5 s.
 */
export async function openRedis (options: Config['redis'], { onLost, onRestored }: RedisEvents): Promise<RedisConnection> {
  const client = new BatchingRedis({
    ...placeOf(options),
    lazyConnect: true,
    connectTimeout: 2_000,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: attempt => Math.min(attempt * 50, 1_000)
  })
  let lastError: Error | null = null
  let isLost = false
  // Only the message: a refused command carries its arguments, and those of AUTH are the password.
  client.on('error', error => { lastError = new Error(reasonOf(error)) })

  try {
    await becomeReady(client, () => lastError)
  } catch (error) {
    client.disconnect()
    throw new StoreStartError(nameOf(options), (error as Error).message)
  }

  client.on('close', () => {
    if (isLost) return
    isLost = true
    onLost(lastError ?? new Error('the connection was closed'))
  })
  client.on('ready', () => {
    if (!isLost) return
    isLost = false
    lastError = null
    onRestored()
  })

  return {
    client,
    async close () {
      isLost = true // a goodbye is no outage
      if (client.status === 'ready') {
        const timeout = new Promise(resolve => setTimeout(resolve, quitTimeoutMs).unref())
        await Promise.race([client.quit().catch(() => {}), timeout]) // it may break off while we say goodbye: then it is over, too
      }
      client.disconnect()
    }
  }
}

/**
 * Sends the commands of one turn of the event loop in one write. ioredis' own auto-pipelining does more, and gains nothing
 * here: it keeps a batch back until the one before it was answered.
 */
class BatchingRedis extends Redis {
  override sendCommand (...args: Parameters<Redis['sendCommand']>): unknown {
    if (this.status === 'ready') batchWrites(this.stream)
    return super.sendCommand(...args)
  }
}

function becomeReady (client: Redis, lastError: () => Error | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(new Error(reasonOf(lastError()))), readyTimeoutMs)
    const onError = (error: Error) => {
      // A refused password or a wrong database will not get better by waiting; a closed port may.
      if (/^(WRONGPASS|NOAUTH|ERR )/.test(error.message)) settle(error)
    }
    const onReady = () => settle()
    function settle (error?: Error): void {
      clearTimeout(timer)
      client.off('error', onError).off('ready', onReady)
      if (error === undefined) resolve()
      else reject(error)
    }
    client.on('error', onError).once('ready', onReady)
    client.connect().catch(() => {}) // told by the 'error' event; the client goes on trying until the deadline
  })
}

function reasonOf (error: Error | null): string {
  if (error === null) return 'it does not answer'
  return error.message || (error as NodeJS.ErrnoException).code || error.name
}

type Place = Pick<CommonRedisOptions, 'username' | 'password' | 'db'> & ({ path: string } | { host: string, port: number, tls?: { servername: string } })

function placeOf ({ url, host, port, db, password }: Config['redis']): Place {
  if (url === undefined) return { host, port, db, ...(password !== undefined && { password }) }
  const place = new URL(url)
  const secret = decodeURIComponent(place.password) || password
  const user = decodeURIComponent(place.username)
  const login = { ...(secret && { password: secret }), ...(user && { username: user }) }
  if (place.protocol === 'unix:') return { ...login, path: decodeURIComponent(place.pathname), db: Number(place.searchParams.get('db') ?? 0) }
  return {
    ...login,
    host: place.hostname,
    port: Number(place.port || 6379),
    db: Number(place.pathname.slice(1) || 0),
    ...(place.protocol === 'rediss:' && { tls: { servername: place.hostname } })
  }
}

/** Where Redis is, without the password. */
function nameOf ({ url, host, port }: Config['redis']): string {
  if (url === undefined) return `${host}:${port}`
  const place = new URL(url)
  return place.protocol === 'unix:' ? decodeURIComponent(place.pathname) : `${place.hostname}:${place.port || 6379}`
}
