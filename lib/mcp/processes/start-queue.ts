import type { Priority } from '../server.ts'

/** What a start is for. Spares come last: a request that finds none starts a server of its own. */
export type Rank = Priority | 'spare'

/** Somebody who waits until a server may start. */
export interface Queued<Server> { readonly server: Server, rank: Rank }

/** Who waits for a start. Decides whose turn is next, and nothing else. */
export interface StartQueue<Server, Waiting extends Queued<Server>> {
  add: (waiting: Waiting) => void
  /** Does nothing when it is not in the queue. */
  remove: (waiting: Waiting) => void
  /** Takes the next one out of the queue; `null` when nobody may start. */
  next: (mayStart: (server: Server, rank: Rank) => boolean) => Waiting | null
  isEmpty: () => boolean
  /** How many wait whose server and rank satisfy a condition. */
  count: (matches: (server: Server, rank: Rank) => boolean) => number
  /** The last one in the longest line of a rank, and how long that line is. */
  longest: (rank: Rank) => { last: Waiting | null, length: number }
}

const ranks: readonly Rank[] = ['call', 'list', 'background', 'spare']

export const isMoreUrgent = (one: Rank, other: Rank): boolean => ranks.indexOf(one) < ranks.indexOf(other)

/** Whether somebody waits for the start. */
export const isRequest = (rank: Rank): boolean => rank === 'call' || rank === 'list'

/** In the order in which they go. */
const groups = ranks.flatMap(rank => [{ rank, isLast: false }, { rank, isLast: true }])
/** How many others may go before a request of a later group, while its server could start. */
const maxPassed = 4

/**
 * One line for each server and rank. In a rank, the turn goes round over the servers. So a server with many waiting
 * requests delays those of another by one start.
 *
 * Servers that are slow to start, or that sent more than they may, go behind the others of their rank. A group of
 * requests that was passed over four times goes next, so that calls never keep lists waiting for ever.
 */
export function createStartQueue<Server extends { readonly isLast: boolean }, Waiting extends Queued<Server>> (
): StartQueue<Server, Waiting> {
  /** Lines by server, in the order of their turns. */
  const lines = new Map(ranks.map(rank => [rank, new Map<Server, Set<Waiting>>()]))
  const passed = groups.map(() => 0)

  const linesOf = (rank: Rank) => lines.get(rank) as Map<Server, Set<Waiting>>

  function remove (waiting: Waiting): void {
    const ofRank = linesOf(waiting.rank)
    const line = ofRank.get(waiting.server)
    line?.delete(waiting)
    if (line?.size === 0) ofRank.delete(waiting.server)
  }

  /** Takes the first of a server's line, and puts the server behind the others. */
  function take (server: Server, rank: Rank): Waiting | null {
    const ofRank = linesOf(rank)
    const line = ofRank.get(server)
    const [first] = line ?? []
    if (line === undefined || first === undefined) return null
    ofRank.delete(server)
    line.delete(first)
    if (line.size > 0) ofRank.set(server, line)
    return first
  }

  return {
    add (waiting) {
      const ofRank = linesOf(waiting.rank)
      const line = ofRank.get(waiting.server)
      if (line === undefined) ofRank.set(waiting.server, new Set([waiting]))
      else line.add(waiting)
    },

    remove,

    isEmpty: () => ranks.every(rank => linesOf(rank).size === 0),

    next (mayStart) {
      const candidates = groups.map(({ rank, isLast }) =>
        [...linesOf(rank).keys()].find(server => server.isLast === isLast && mayStart(server, rank)))
      const overdue = groups.findIndex(({ rank }, index) =>
        isRequest(rank) && candidates[index] !== undefined && (passed[index] ?? 0) >= maxPassed)
      const chosen = overdue >= 0 ? overdue : candidates.findIndex(server => server !== undefined)
      const server = candidates[chosen]
      const group = groups[chosen]
      if (server === undefined || group === undefined) return null
      candidates.forEach((candidate, index) => {
        if (index === chosen) passed[index] = 0
        else if (index > chosen && candidate !== undefined) passed[index] = (passed[index] ?? 0) + 1
      })
      return take(server, group.rank)
    },

    count (matches) {
      let count = 0
      for (const [rank, ofRank] of lines) {
        for (const [server, line] of ofRank) if (matches(server, rank)) count += line.size
      }
      return count
    },

    longest (rank) {
      const all = [...linesOf(rank).values()]
      const [first] = all
      const longest = all.reduce((found, line) => line.size > found.size ? line : found, first ?? new Set())
      return { last: [...longest].at(-1) ?? null, length: longest.size }
    }
  }
}
