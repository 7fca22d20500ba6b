import { randomUUID } from 'node:crypto'
import type { RedisClient } from '../redis/client.ts'
import type { AwaitCommand } from '../redis/command.ts'

/** A call that waits for a worker. Nothing in it is secret: its request is sealed in its session. */
export interface Job {
  call: string
  /** Id of the session, and the API key that it belongs to. */
  session: string
  client: string | null
  /** Name of the receiver that is told of its end; `null` for none. */
  notify: string | null
}

/** A job, and its place in the queue. */
export interface QueuedJob { place: string, job: Job }

export interface CallQueue {
  add: (job: Job) => Promise<void>
  /** Takes jobs, oldest first, those first that a worker took and did not begin. */
  take: (most: number) => Promise<QueuedJob[]>
  /** Removes a job: its call has begun, or will never. */
  remove: (queued: QueuedJob) => Promise<void>
  /** Puts a job at the end of the queue. */
  defer: (queued: QueuedJob) => Promise<void>
  /** How many jobs there are, those included that a worker took and did not begin. */
  length: () => Promise<number>
}

export interface CallQueueOptions { key: string, inTime: AwaitCommand }

/** After so long, a job that was taken and not begun is another worker's (ms). */
const takenMs = 10_000

const group = 'workers'

/**
 * The calls that no worker has begun: a stream with one group of consumers. A job may be delivered twice, which does no
 * harm: the call itself is begun by one worker only.
 *
 * @see https://redis.io/docs/latest/develop/data-types/streams/
 */
export function createCallQueue (client: RedisClient, { key, inTime }: CallQueueOptions): CallQueue {
  const consumer = randomUUID()
  const fieldsOf = (job: Job) => Object.entries(job).filter(([, value]) => value !== null).flat() as string[]

  /** The group is made when it is first missed: Redis may have been emptied. */
  async function withGroup<Reply> (command: () => Promise<Reply>): Promise<Reply> {
    try {
      return await command()
    } catch (error) {
      if (!(error as Error).message.startsWith('NOGROUP')) throw error
      await client.xgroup('CREATE', key, group, '0', 'MKSTREAM').catch(() => {}) // another worker was first
      return await command()
    }
  }

  return {
    async add (job) {
      await inTime(client.xadd(key, '*', ...fieldsOf(job)))
    },

    async take (most) {
      const left = await inTime(withGroup(() =>
        client.xautoclaim(key, group, consumer, takenMs, '0-0', 'COUNT', most))) as [string, Entry[]]
      const jobs = jobsIn(left[1])
      if (jobs.length >= most) return jobs
      const read = await inTime(withGroup(() =>
        client.xreadgroup('GROUP', group, consumer, 'COUNT', most - jobs.length, 'STREAMS', key, '>')))
      return [...jobs, ...jobsIn((read as Array<[string, Entry[]]> | null)?.[0]?.[1] ?? [])]
    },

    async remove ({ place }) {
      await inTime(client.multi().xack(key, group, place).xdel(key, place).exec())
    },

    async defer ({ place, job }) {
      await inTime(client.multi().xadd(key, '*', ...fieldsOf(job)).xack(key, group, place).xdel(key, place).exec())
    },

    length: () => inTime(client.xlen(key))
  }
}

/** `null` fields: an entry that was removed after it was taken. */
type Entry = [place: string, fields: string[] | null]

function jobsIn (entries: readonly Entry[]): QueuedJob[] {
  return entries.flatMap(([place, fields]) => {
    if (fields === null) return []
    const job = new Map<string, string>()
    for (let i = 0; i < fields.length; i += 2) job.set(fields[i] ?? '', fields[i + 1] ?? '')
    const [call = '', session = '', client = null, notify = null] =
      ['call', 'session', 'client', 'notify'].map(name => job.get(name))
    return [{ place, job: { call, session, client, notify } }]
  })
}
