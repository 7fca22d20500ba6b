import { createSharedWork, type Waiter, type WorkControl } from './shared-work.ts'

/** A list as a server gave it. */
export interface Fetched<List> {
  list: List
  /** How long the server lets it be remembered (ms), when it says so. */
  ttlMs?: number | undefined
}

/** Fetches a list for all who wait for it. */
export type FetchList<List> = (control: WorkControl) => Promise<Fetched<List>>

export interface ListCache<List> {
  /** The list for an audience, from memory when it is young enough. */
  get: (audience: string, waiter: Waiter, fetch: FetchList<List>) => Promise<List>
  /** The list for an audience from the server, even where one is remembered. */
  refresh: (audience: string, waiter: Waiter, fetch: FetchList<List>) => Promise<List>
  /**
   * The list that is remembered for an audience, or for just any when none is named; `null` when there is none. It may
   * be too old to be shown, but not too old for a tool call.
   */
  peek: (audience?: string) => List | null
  /** Forgets all lists: the server says that its list has changed. */
  forget: () => void
}

/**
 * How many audiences are remembered, for servers whose lists differ by session. The list that was fetched first goes
 * first.
 */
const maxAudiences = 500
/** Longest time that a server can make its list be remembered (ms). */
const maxTtlMs = 86_400_000

interface Remembered<List> { list: List, freshUntil: number, usableUntil: number }

/**
 * Remembers one kind of list of one server for a short time: `ttlMs`, or as long as the server says. 0 remembers
 * nothing.
 *
 * An audience names the callers who get the same list. They share a fetch that is under way, too; other audiences never
 * do. A fetch that fails does so for all its waiters and is not remembered. The cache holds nothing of any session: a
 * server that is given nothing of a session gives the same list to everybody.
 */
export function createListCache<List> ({ ttlMs }: { ttlMs: number }): ListCache<List> {
  const remembered = new Map<string, Remembered<List>>()
  const fetches = createSharedWork<List>()
  let changes = 0

  async function load (audience: string, control: WorkControl, fetch: FetchList<List>): Promise<List> {
    const changesBefore = changes
    const { list, ttlMs: ownTtlMs = ttlMs } = await fetch(control)
    if (ttlMs === 0 || changes !== changesBefore) return list
    const now = performance.now()
    const freshMs = Math.min(Math.max(0, ownTtlMs), maxTtlMs)
    remembered.delete(audience)
    remembered.set(audience, { list, freshUntil: now + freshMs, usableUntil: now + Math.max(freshMs, ttlMs) })
    if (remembered.size > maxAudiences) remembered.delete(remembered.keys().next().value as string)
    return list
  }

  const refresh: ListCache<List>['refresh'] = async (audience, waiter, fetch) =>
    await fetches.join(audience, waiter, control => load(audience, control, fetch))

  return {
    async get (audience, waiter, fetch) {
      const known = remembered.get(audience)
      if (known !== undefined && performance.now() < known.freshUntil) return known.list
      return await refresh(audience, waiter, fetch)
    },

    refresh,

    peek (audience) {
      const known = audience === undefined ? [...remembered.values()].at(-1) : remembered.get(audience)
      return known !== undefined && performance.now() < known.usableUntil ? known.list : null
    },

    forget () {
      changes++
      remembered.clear()
      fetches.detach() // a fetch that is under way may bring the old list
    }
  }
}
