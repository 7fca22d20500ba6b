import type { Cancellation } from '../cancellation.ts'
import { McpEntryError } from '../errors.ts'
import type { Lease, Server, User } from './server.ts'
import type { FaultySpec, RunnableSpec, ServerSpec } from './servers-file/server-spec.ts'

export interface ServerRegistry {
  /** The current servers, in the order of their specs. */
  readonly servers: readonly Server[]
  /** The server for one request, which keeps it from ending until the lease is released. */
  lease: (server: Server, user: User, leaving: Pick<Cancellation, 'signal'>) => Lease
  /**
   * Takes other specs. A server whose spec is unchanged stays as it is. One that is gone or changed ends when the last
   * request that uses it is over.
   */
  replace: (specs: readonly ServerSpec[]) => void
  /** Ends all servers, those included that were replaced. */
  close: () => Promise<void>
}

/** Counts who uses each server, so that a server that was replaced ends after its last request. */
export function createServerRegistry (
  create: (spec: RunnableSpec) => Server, onTrouble: (error: unknown) => void
): ServerRegistry {
  let current = new Map<string, Server>()
  /** How many leases each server has. Closing waits for the servers in it. */
  const leases = new Map<Server, number>()

  function createCounted (spec: ServerSpec): Server {
    const server = spec.kind === 'faulty' ? createFaultyServer(spec) : create(spec)
    leases.set(server, 0)
    return server
  }

  function count (server: Server, change: 1 | -1): void {
    leases.set(server, (leases.get(server) ?? 0) + change)
  }

  function endWhenUnused (server: Server): void {
    if (leases.get(server) !== 0 || current.get(server.spec.identity) === server) return
    server.close().catch(onTrouble).finally(() => leases.delete(server))
  }

  return {
    get servers () { return [...current.values()] },

    lease (server, user, leaving) {
      const lease = server.lease(user, leaving)
      count(server, 1)
      return {
        open: lease.open,
        ...(lease.join !== undefined && { join: lease.join }),
        async release () {
          await lease.release()
          count(server, -1)
          endWhenUnused(server)
        }
      }
    },

    replace (specs) {
      const before = current
      current = new Map(specs.map(spec => [spec.identity, before.get(spec.identity) ?? createCounted(spec)]))
      for (const server of before.values()) endWhenUnused(server)
    },

    async close () {
      await Promise.all([...leases.keys()].map(server => server.close()))
    }
  }
}

/** A server that is not run. Who asks it learns that, and not why: the reason is for operators. */
const createFaultyServer = (spec: FaultySpec): Server => ({
  spec,
  lease: () => ({
    async open () { throw new McpEntryError(spec.name) },
    async release () {}
  }),
  async close () {}
})
