import { abortable, Cancellation } from '../cancellation.ts'
import type { Lease, Server, User } from '../mcp/server.ts'
import { createUses } from '../uses.ts'
import type { CatalogedServer } from './cataloged-server.ts'

export interface LearnerOptions {
  lease: (server: Server, user: User, leaving: Pick<Cancellation, 'signal'>) => Lease
  /** How long a server may take to answer with a list (ms). */
  listTimeoutMs: number
  onLearned: (server: string, learned: { tools: number, isFromStore: boolean }) => void
  onFailed: (server: string, error: unknown) => void
}

/** Learns in the background what servers offer, for no caller in particular. */
export interface Learner {
  /** Learns what one server offers, unless that is under way. Does not wait for it. */
  learn: (server: CatalogedServer) => void
  /** Ends what is under way. Resolves when every client is closed. */
  close: () => Promise<void>
}

/** Nobody waits, and it has no credentials. */
const nobody: User = { priority: 'background', waitMs: Infinity, credentials: {}, slot: null, isWatched: false }

export function createLearner ({ lease, listTimeoutMs, onLearned, onFailed }: LearnerOptions): Learner {
  const underWay = new Map<CatalogedServer, Promise<void>>()
  const closing = new Cancellation()

  async function learnNow (server: CatalogedServer): Promise<void> {
    // One client for all lists, which is opened when the first of them is asked for.
    const { open, join, release } = lease(server.server, nobody, closing)
    const uses = createUses()
    try {
      const learned = await server.learn?.({
        credentials: {},
        session: null,
        limits: { timeoutMs: server.server.spec.timeouts.listMs ?? listTimeoutMs, signal: closing.signal },
        patience: nobody,
        join: (patience, signal) => join?.(patience, signal),
        withClient: (signal, work) => uses.add(abortable(open().then(work), signal))
      })
      if (learned !== undefined) onLearned(server.name, learned)
    } catch (error) {
      if (!closing.signal.aborted) onFailed(server.name, error)
    } finally {
      // A caller may have joined late, and wait for a list still when this has given it up.
      await uses.settled()
      await release()
    }
  }

  return {
    learn (server) {
      if (server.learn === undefined || closing.signal.aborted || underWay.has(server)) return
      underWay.set(server, learnNow(server).finally(() => underWay.delete(server)))
    },

    async close () {
      closing.abort()
      await Promise.all(underWay.values())
    }
  }
}
