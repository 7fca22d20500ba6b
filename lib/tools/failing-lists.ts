import {
  McpCallError, McpCapabilityError, McpStartError, McpStartTimeoutError, McpTimeoutError,
  UpstreamUnauthorizedError
} from '../errors.ts'
import { isOfBound } from '../mcp/client/errors.ts'

/** A list that is asked for: whose it is, and which. */
export interface AskedList { audience: string, kind: string }

/**
 * Remembers for a short time that one server did not answer in time, so that not every listing of several servers waits
 * for it; and that a list was longer than a bound, so that nobody reads megabytes of it again. Nothing else is
 * remembered: any other failure comes soon, and costs little.
 */
export interface FailingLists {
  /** Asks for a list, and remembers how that ended. Rejects at once while a list is known to break a bound. */
  observe: <List>(list: AskedList, ask: () => Promise<List>) => Promise<List>
  /**
   * The same for a listing that has other servers to show: rejects at once with the error that is remembered. When its
   * time is over, one listing asks again, and the others need not wait for it.
   */
  observeUnlessFailing: <List>(list: AskedList, ask: () => Promise<List>) => Promise<List>
}

interface Failure { error: Error, until: number, isAskedAgain: boolean }

/** How many failures are remembered, for servers whose lists may differ by session. The first one goes first. */
const maxFailures = 20_000

/** `ttlMs` is 0 to remember nothing. */
export function createFailingLists ({ ttlMs }: { ttlMs: number }): FailingLists {
  const failures = new Map<string, Failure>()

  /** A server that cannot be started has no list; one that answers no list may answer another. */
  const keysOf = ({ audience, kind }: AskedList) => ({ start: audience, list: `${audience} ${kind}` })

  function remember (key: string, error: Error): void {
    if (ttlMs === 0) return
    failures.delete(key)
    failures.set(key, { error, until: performance.now() + ttlMs, isAskedAgain: false })
    if (failures.size > maxFailures) failures.delete(failures.keys().next().value as string)
  }

  function forget (list: AskedList): void {
    for (const key of Object.values(keysOf(list))) failures.delete(key)
  }

  const observe: FailingLists['observe'] = async (list, ask) => {
    const broken = failures.get(keysOf(list).list)
    const now = performance.now()
    if (broken !== undefined && isOfBound(broken.error) && now < broken.until) {
      throw saying(broken.error, whenAgain(broken, now))
    }
    try {
      const answer = await ask()
      forget(list)
      return answer
    } catch (error) {
      if (error instanceof McpStartTimeoutError) remember(keysOf(list).start, error)
      else if (error instanceof McpTimeoutError || isOfBound(error)) remember(keysOf(list).list, error)
      else if (isOfServer(error)) forget(list)
      throw error
    }
  }

  return {
    observe,

    async observeUnlessFailing (list, ask) {
      const known = Object.values(keysOf(list)).flatMap(key => failures.get(key) ?? [])
      const now = performance.now()
      const failing = known.find(({ until, isAskedAgain }) => isAskedAgain || now < until)
      if (failing !== undefined) throw saying(failing.error, whenAgain(failing, now))
      for (const failure of known) failure.isAskedAgain = true
      try {
        return await observe(list, ask)
      } finally {
        // A caller who left has found out nothing: the next listing asks.
        for (const failure of known) failure.isAskedAgain = false
      }
    }
  }
}

/** Whether a failure shows that the server, or its machine, says something. */
const isOfServer = (error: unknown) =>
  [McpCallError, McpStartError, McpCapabilityError, UpstreamUnauthorizedError].some(kind => error instanceof kind)

const whenAgain = ({ until, isAskedAgain }: Failure, now: number) => isAskedAgain
  ? ', and is being asked again'
  : `, and is asked again in ${Math.ceil((until - now) / 1000)} s`

/** The same error with more to say. */
const saying = (error: Error, more: string): Error =>
  Object.create(error, { message: { value: `${error.message}${more}`, enumerable: true } }) as Error
