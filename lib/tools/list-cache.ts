/** A list as a server gave it. */
export interface Fetched<List> {
  list: List
  /** How long the server lets it be remembered (ms), when it says so. */
  ttlMs?: number | undefined
}

export interface ListCache<List> {
  /** The list for an audience, from memory when it is young enough. */
  get: (audience: string, fetch: () => Promise<Fetched<List>>) => Promise<List>
  /** Asks, whatever is remembered. */
  refresh: (audience: string, fetch: () => Promise<Fetched<List>>) => Promise<List>
  /**
   * What is remembered for an audience, or for just any when none is named: also when it is too old to be shown, but not so old
   * that nobody would go by it.
   */
  peek: (audience?: string) => List | null
  /** The server says that its list is not what it was. */
  forget: () => void
}

/** Lists of servers that give each session another one are bounded in number; the one that was asked for longest ago goes first. */
const maxAudiences = 500
/** A server cannot make its list be remembered for longer (ms). */
const maxTtlMs = 86_400_000

interface Remembered<List> { list: List, freshUntil: number, usableUntil: number }

/**
 * Remembers one kind of list of one server, for a short time: `ttlMs`, or as long as the server says. 0 remembers nothing.
 *
 * An audience is who gets the same list. It holds nothing of any session: a server that is given nothing of a session gives
 * the same list to everybody.
 */
export function createListCache<List> ({ ttlMs }: { ttlMs: number }): ListCache<List> {
  const remembered = new Map<string, Remembered<List>>()
  let changes = 0

  async function refresh (audience: string, fetch: () => Promise<Fetched<List>>): Promise<List> {
    const changesBefore = changes
    const { list, ttlMs: ownTtlMs = ttlMs } = await fetch()
    if (ttlMs === 0 || changes !== changesBefore) return list
    const now = performance.now()
    const freshMs = Math.min(Math.max(0, ownTtlMs), maxTtlMs)
    remembered.delete(audience)
    remembered.set(audience, { list, freshUntil: now + freshMs, usableUntil: now + Math.max(freshMs, ttlMs) })
    if (remembered.size > maxAudiences) remembered.delete(remembered.keys().next().value as string)
    return list
  }

  return {
    async get (audience, fetch) {
      const known = remembered.get(audience)
      return known !== undefined && performance.now() < known.freshUntil ? known.list : await refresh(audience, fetch)
    },
    refresh,
    peek (audience) {
      const known = audience === undefined ? [...remembered.values()].at(-1) : remembered.get(audience)
      return known !== undefined && performance.now() < known.usableUntil ? known.list : null
    },
    forget () {
      changes++
      remembered.clear()
    }
  }
}
