import type { ServerSpec } from './servers-file/server-spec.ts'
import type { Server } from './server.ts'

export interface ServerRegistry {
  /** The servers of today, in the order of their specs. */
  readonly servers: readonly Server[]
  /**
   * Takes other specs. A server whose spec is as it was goes on as it is; one that is gone or changed ends when the last
   * request that uses it is over.
   */
  replace: (specs: readonly ServerSpec[]) => void
  /** Ends all servers, those included that were replaced. */
  close: () => Promise<void>
}

interface Tracked { server: Server, retire: () => void }

export function createServerRegistry (create: (spec: ServerSpec) => Server, onTrouble: (error: unknown) => void): ServerRegistry {
  let current = new Map<string, Tracked>()
  const living = new Set<Server>()

  /** Counts who uses a server, so that it can end when nobody does. */
  function track (server: Server): Tracked {
    let users = 0
    let isRetired = false
    let isEnding = false
    living.add(server)

    function endWhenUnused (): void {
      if (!isRetired || users > 0 || isEnding) return
      isEnding = true
      server.close().catch(onTrouble).finally(() => living.delete(server)) // until then, closing the service waits for it
    }

    const tracked: Server = {
      spec: server.spec,
      get sparesReady () { return server.sparesReady },
      keepsSessions: server.keepsSessions,
      endSession: server.endSession,
      refill: server.refill,
      close: server.close,
      lease (user, signal) {
        const lease = server.lease(user, signal)
        let isOver = false
        users++
        return {
          open: lease.open,
          async release () {
            await lease.release()
            if (isOver) return
            isOver = true
            users--
            endWhenUnused()
          }
        }
      }
    }
    return {
      server: tracked,
      retire () {
        isRetired = true
        endWhenUnused()
      }
    }
  }

  return {
    get servers () { return [...current.values()].map(({ server }) => server) },

    replace (specs) {
      const before = current
      current = new Map(specs.map(spec => [spec.identity, before.get(spec.identity) ?? track(create(spec))]))
      for (const [identity, { retire }] of before) if (!current.has(identity)) retire()
    },

    async close () {
      await Promise.all([...living].map(server => server.close()))
    }
  }
}
