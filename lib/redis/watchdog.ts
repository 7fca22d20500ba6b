import type { Redis } from 'ioredis'
import { corkWrites } from '../corked-writes.ts'

/**
 * Ends a connection when Redis owes it an answer and has sent nothing for `timeoutMs`.
 *
 * A stalled Redis, or a network that swallows packets, closes no connection. Each command would wait for its own
 * deadline, and the operating system takes minutes to notice. So the first command that waited in vain ends the
 * connection, and commands fail at once while there is none. The commands that set up a new connection are watched,
 * too.
 *
 * ioredis' `socketTimeout` does nearly this, but takes a busy worker for a stalled Redis.
 *
 * Also sends the commands of one turn of the event loop in one write; see corkWrites.
 */
export function watchConnection (redis: Redis, timeoutMs: number): void {
  const send = redis.sendCommand.bind(redis)
  let timer: NodeJS.Timeout | undefined
  let heard: { stream: unknown, bytes: number }
  let silentLooks = 0

  redis.sendCommand = (command, stream) => {
    if (redis.status === 'ready') corkWrites(redis.stream)
    const answer = send(command, stream)
    if (timer === undefined) {
      heard = listen()
      silentLooks = 0
      lookLater()
    }
    return answer
  }

  const listen = () => ({ stream: redis.stream, bytes: redis.stream?.bytesRead ?? 0 })

  function lookLater (): void {
    timer = setTimeout(() => {
      // Timers run before arrived data is read, immediates after it.
      setImmediate(() => setImmediate(look))
    }, timeoutMs / looks)
    timer.unref()
  }

  function look (): void {
    timer = undefined
    const now = listen()
    // Counts looks, not time: a worker that was busy for a second has looked once, and may not have sent the command
    // yet.
    silentLooks = now.stream === heard.stream && now.bytes === heard.bytes ? silentLooks + 1 : 0
    heard = now
    if (!isOwed(redis)) return
    if (silentLooks < looks) lookLater()
    // destroy() and not disconnect(), which would wait for the other side to close, too.
    else redis.stream?.destroy(new Error(`redis did not answer within ${timeoutMs} ms`))
  }
}

/** How many looks in a row must find nothing before the connection is ended. */
const looks = 5

/** Only a cluster's nodes use the offline queue: their commands wait there while the node is being connected. */
function isOwed (redis: Redis): boolean {
  const { commandQueue, offlineQueue } = redis as unknown as Record<'commandQueue' | 'offlineQueue', { length: number }>
  return commandQueue.length > 0 || offlineQueue.length > 0
}
