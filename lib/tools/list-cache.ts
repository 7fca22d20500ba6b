import { everybody } from './audience.ts'
import { createSharedWork, type Waiter, type WorkControl } from './shared-work.ts'

/** A list as a server gave it. */
export interface Fetched<List> {
  create: () => List
  /** The same for the same list, instructions included. */
  digest: () => string
  /** About how much the server has sent of it (bytes). */
  bytes: number
  /** Who may see it; those who asked for it, when it is left out. */
  audience?: string
  /** How long the server lets it be remembered (ms), when it says so. */
  ttlMs?: number | undefined
}

/** Fetches a list for all who wait for it. */
export type FetchList<List> = (control: WorkControl) => Promise<Fetched<List>>

export interface ListCache<List> {
  /** The list for an audience, from memory when it is young enough. */
  get: (audience: string, waiter: Waiter, fetch: FetchList<List>) => Promise<List>
  /** Whether `get` needs no server. */
  isFresh: (audience: string) => boolean
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
 * How many audiences are remembered, for servers whose lists may differ by session, and how many different lists they
 * may have. What was fetched first goes first.
 */
const maxAudiences = 20_000
const maxLists = 500
/** Longest time that a server can make its list be remembered (ms). */
const maxTtlMs = 86_400_000

interface Remembered<List> { list: List, digest: string, bytes: number, freshUntil: number, usableUntil: number }

/**
 * Remembers one kind of list of one server for a short time: `ttlMs`, or as long as the server says. 0 remembers
 * nothing.
 *
 * An audience names the callers who get the same list; see audience.ts. They share a fetch that is under way, too;
 * other audiences never do. A fetch that fails does so for all its waiters and is not remembered. Audiences whose lists
 * are equal, to the last byte, share the memory of one. All lists together have at most `maxBytes`; a list that is
 * larger alone is not remembered.
 */
export function createListCache<List> (
  { ttlMs, maxBytes = Infinity }: { ttlMs: number, maxBytes?: number }
): ListCache<List> {
  const remembered = new Map<string, Remembered<List>>()
  /** The lists by their digests, and how many audiences have each. */
  const lists = new Map<string, { list: List, audiences: number }>()
  let latest: Remembered<List> | null = null
  let bytesOfLists = 0
  const fetches = createSharedWork<List>()
  let changes = 0

  async function load (asked: string, control: WorkControl, fetch: FetchList<List>): Promise<List> {
    let changesBefore = changes
    let fetched = await fetch(control)
    if (changes !== changesBefore && !remembered.has(asked)) {
      // Some servers say so as soon as they have started. What they answer then is what holds.
      changesBefore = changes
      fetched = await fetch(control)
    }
    const { audience = asked, ttlMs: ownTtlMs = ttlMs } = fetched
    if (ttlMs === 0 || changes !== changesBefore || fetched.bytes > maxBytes) return fetched.create()
    const digest = audience === everybody ? '' : fetched.digest()
    const list = (digest === '' ? undefined : lists.get(digest)?.list) ?? fetched.create()
    const now = performance.now()
    const freshMs = Math.min(Math.max(0, ownTtlMs), maxTtlMs)
    const { bytes } = fetched
    remember(audience, { list, digest, bytes, freshUntil: now + freshMs, usableUntil: now + Math.max(freshMs, ttlMs) })
    return list
  }

  function remember (audience: string, entry: Remembered<List>): void {
    const { list, digest, bytes } = entry
    const known = lists.get(digest)
    if (known === undefined) bytesOfLists += bytes
    lists.set(digest, { list, audiences: (known?.audiences ?? 0) + 1 })
    drop(audience)
    remembered.set(audience, entry)
    latest = entry
    while (remembered.size > maxAudiences || lists.size > maxLists || bytesOfLists > maxBytes) {
      drop(remembered.keys().next().value as string)
    }
  }

  function drop (audience: string): void {
    const dropped = remembered.get(audience)
    if (dropped === undefined) return
    remembered.delete(audience)
    if (latest === dropped) latest = null
    const shared = lists.get(dropped.digest)
    if (shared === undefined || --shared.audiences > 0) return
    lists.delete(dropped.digest)
    bytesOfLists -= dropped.bytes
  }

  const refresh: ListCache<List>['refresh'] = async (audience, waiter, fetch) =>
    await fetches.join(audience, waiter, control => load(audience, control, fetch))

  function freshList (audience: string): { list: List } | null {
    const known = remembered.get(audience)
    return known !== undefined && performance.now() < known.freshUntil ? known : null
  }

  return {
    async get (audience, waiter, fetch) {
      const known = freshList(audience)
      return known === null ? await refresh(audience, waiter, fetch) : known.list
    },

    isFresh: audience => freshList(audience) !== null,

    refresh,

    peek (audience) {
      const known = audience === undefined ? latest : remembered.get(audience) ?? null
      return known !== null && performance.now() < known.usableUntil ? known.list : null
    },

    forget () {
      changes++
      remembered.clear()
      lists.clear()
      bytesOfLists = 0
      latest = null
      fetches.detach() // a fetch that is under way may bring the old list
    }
  }
}
