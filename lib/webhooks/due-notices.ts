import type { RedisClient } from '../redis/client.ts'
import type { AwaitCommand } from '../redis/command.ts'
import { defineScript } from '../redis/lua.ts'

/** A call whose end somebody is told. Nothing in it is secret. */
export interface WatchedCall {
  call: string
  /** Id of the session, and the API key that it belongs to. */
  session: string
  client: string | null
  /** Name of the receiver. */
  receiver: string
}

/** A notice that is due. */
export interface DueNotice extends WatchedCall {
  /** How often its receiver has not taken it. */
  failures: number
  /** When it was first seen that the call is over (ms since 1970); `null` before. */
  since: number | null
}

/** The notices of all workers, by the time when they are due: a sorted set. All reject with StoreUnavailableError. */
export interface DueNotices {
  /** `null` for either: there is none before, or none any more. False when another worker was first. */
  put: (earlier: DueNotice | null, notice: DueNotice | null, dueInMs: number) => Promise<boolean>
  take: (most: number) => Promise<DueNotice[]>
}

export const firstNotice = (call: WatchedCall): DueNotice => ({ ...call, failures: 0, since: null })

/** Longer than sending a notice may take (ms). */
const takenMs = 60_000

export function createDueNotices (client: RedisClient, key: string, inTime: AwaitCommand): DueNotices {
  const script = (name: string) => new URL(`scripts/${name}.lua`, import.meta.url)
  const put = defineScript<{ earlier: string, notice: string, dueInMs: number }, 0 | 1>(
    client, script('put-notice'), ({ earlier, notice, dueInMs }) => [earlier, notice, Math.round(dueInMs)]
  )
  const take = defineScript<{ most: number }, string[]>(client, script('take-notices'), ({ most }) => [most, takenMs])
  return {
    put: async (earlier, notice, dueInMs) =>
      await inTime(put(key, { earlier: textOf(earlier), notice: textOf(notice), dueInMs })) === 1,
    take: async most => (await inTime(take(key, { most }))).map(parse)
  }
}

/** Equal notices have equal texts. */
function textOf (notice: DueNotice | null): string {
  if (notice === null) return ''
  const { call, session, client, receiver, failures, since } = notice
  return JSON.stringify([call, session, client, receiver, failures, since])
}

function parse (text: string): DueNotice {
  const [call, session, client, receiver, failures, since] =
    JSON.parse(text) as [string, string, string | null, string, number, number | null] // this service wrote it
  return { call, session, client, receiver, failures, since }
}
