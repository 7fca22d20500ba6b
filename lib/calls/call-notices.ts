import type { Redis } from 'ioredis'
import type { CancelSignal } from '../cancellation.ts'
import type { RedisClient } from '../redis/client.ts'

/** What workers tell each other of calls: that one was queued, has changed, or is to be cancelled. */
export interface CallNotices {
  publish: (kind: NoticeKind, id: string) => void
  /** Resolves at the next notice of a kind about a call, after `milliseconds`, or when `signal` aborts. */
  next: (kind: NoticeKind, id: string, milliseconds: number, signal: CancelSignal) => Promise<void>
  /** Calls `listener` for each notice of a kind. Gives how to end that. */
  on: (kind: NoticeKind, listener: (id: string) => void) => () => void
  close: () => void
}

/** `said`: there are more events of a call. */
export type NoticeKind = 'queued' | 'changed' | 'cancel' | 'said'

/**
 * Notices over a connection of their own. A notice may be lost: whoever waits for one looks again after a while, too.
 * So no failure is passed on; an outage is reported by the connection that all else goes by.
 *
 * @see https://redis.io/docs/latest/develop/pubsub/
 */
export function createCallNotices (client: RedisClient, channel: string): CallNotices {
  const listeners = new Set<(kind: string, id: string) => void>()
  // A cluster's `duplicate` does the same, and takes other arguments.
  const subscriber = (client as Redis).duplicate() as RedisClient
  subscriber.on('error', () => {})
  subscriber.on('ready', () => { subscriber.subscribe(channel).catch(() => {}) })
  subscriber.on('message', (_channel: string, text: string) => {
    const [kind = '', id = ''] = text.split(' ')
    for (const listener of [...listeners]) listener(kind, id)
  })
  subscriber.connect().catch(() => {}) // it goes on trying

  return {
    publish (kind, id) {
      client.publish(channel, `${kind} ${id}`).catch(() => {})
    },
    next: (wanted, call, milliseconds, signal) => new Promise(resolve => {
      const timer = setTimeout(done, milliseconds)
      const onNotice = (kind: string, id: string) => { if (kind === wanted && id === call) done() }
      listeners.add(onNotice)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()

      function done (): void {
        clearTimeout(timer)
        listeners.delete(onNotice)
        signal.removeEventListener('abort', done)
        resolve()
      }
    }),
    on (wanted, listener) {
      const onNotice = (kind: string, id: string) => { if (kind === wanted) listener(id) }
      listeners.add(onNotice)
      return () => { listeners.delete(onNotice) }
    },
    close () {
      listeners.clear()
      subscriber.disconnect()
    }
  }
}
