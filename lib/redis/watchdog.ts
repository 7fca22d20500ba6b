import type { Redis } from 'ioredis'
import { corkWrites } from '../corked-writes.ts'

/**
 * Makes a connection fail when Redis owes it an answer and has sent nothing for `timeoutMs`.
 *
 * A stalled Redis, or a network that swallows packets, closes no connection: each command would wait for its own deadline, and
 * the operating system takes minutes to notice. So the first one that waited in vain ends the connection; while there is none,
 * commands fail at once. The commands by which a new connection is set up are watched, too. ioredis' `socketTimeout` does nearly
 * this, but takes a worker that was busy for a stalled Redis.
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
      // Timers run before what has arrived is read, immediates after it.
      setImmediate(() => setImmediate(look))
    }, timeoutMs / looks)
    timer.unref()
  }

  function look (): void {
    timer = undefined
    const now = listen()
    // Looks are counted, and not time: a worker that was busy for a second has looked once, and may not even have sent the command.
    silentLooks = now.stream === heard.stream && now.bytes === heard.bytes ? silentLooks + 1 : 0
    heard = now
    if (!isOwed(redis)) return
    if (silentLooks < looks) lookLater()
    // destroy() and not disconnect(), which would wait for the other side to close, too.
    else redis.stream?.destroy(new Error(`redis did not answer within ${timeoutMs} ms`))
  }
}

const looks = 5

/** The offline queue is used by the nodes of a cluster only: their commands wait there while the node is being connected. */
function isOwed (redis: Redis): boolean {
  const { commandQueue, offlineQueue } = redis as unknown as Record<'commandQueue' | 'offlineQueue', { length: number }>
  return commandQueue.length > 0 || offlineQueue.length > 0
}
