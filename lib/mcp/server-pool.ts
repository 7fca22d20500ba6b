import type { Places, Release } from '../places.ts'
import { createManager, type Manager, type ManagerOptions, type Owner } from './manager.ts'
import type { StdioCommand, StdioSpec } from './server-spec.ts'
import { createSharedServer, type SharedServer } from './shared-server.ts'
import { createWarmSpares } from './warm-spares.ts'

export interface ServerPoolOptions extends ManagerOptions {
  /** Processes that may be alive in this worker, and those among them that may be starting. */
  alive: Places
  starting: Places
  warmSpares: number
  spareMaxAgeMs: number
  sharedIdleMs: number
  /** Something went wrong that no request hears of. */
  onTrouble: (error: unknown, message: string) => void
}

/** What a request holds of a server. */
export interface Lease {
  /** A manager that is open. May be called again; it is the same. */
  open: () => Promise<Manager>
  /** Ends what was opened for this request, also while it opens. Resolves when it is gone. Never rejects. */
  release: () => Promise<void>
}

export interface ServerPool {
  /** How many spares are ready. */
  readonly sparesReady: number
  /** A server for one request. Nothing is started before it is opened. */
  lease: (owner: Owner, signal: AbortSignal) => Lease
  /** Starts spares where some are missing; otherwise that happens when requests end. */
  refill: () => void
  close: () => Promise<void>
}

/** A request that runs long must not keep its spare from being replaced until it ends (ms). */
const refillDelayMs = 250

/** The processes of one MCP server in this worker: fresh ones for each request, spares that make that fast, or a shared one. */
export function createServerPool (spec: StdioCommand & Pick<StdioSpec, 'lifecycle'>, options: ServerPoolOptions): ServerPool {
  const { alive, starting, onTrouble } = options
  const spares = createWarmSpares(spec, {
    ...options,
    most: spec.lifecycle === 'shared' ? 0 : options.warmSpares,
    maxAgeMs: options.spareMaxAgeMs,
    onFailed: (error, retryMs) => onTrouble(error, `a warm spare failed, the next is started in ${retryMs} ms`)
  })
  const shared = spec.lifecycle === 'shared'
    ? createSharedServer(spec, { ...options, idleMs: options.sharedIdleMs, onEnded: retryMs => onTrouble(undefined, `a shared server ended by itself, it may start again in ${retryMs} ms`) })
    : null

  function leaseFresh (owner: Owner, signal: AbortSignal): Lease {
    let manager: Manager | null = null
    let release: Release = () => {}
    let opening: Promise<Manager> | null = null

    async function open (): Promise<Manager> {
      const spare = spares.take()
      if (spare !== null) {
        ({ manager, release } = spare)
        manager.assign(owner)
        setTimeout(spares.refill, refillDelayMs).unref()
        return manager
      }
      release = await alive.take(signal)
      const started = await starting.take(signal)
      try {
        manager = createManager(spec, options)
        manager.assign(owner)
        await manager.open(signal)
      } finally {
        started()
      }
      return manager
    }

    return {
      open () {
        opening ??= open()
        return opening
      },
      async release () {
        await opening?.catch(() => {}) // whoever opened it has been told
        await manager?.close()
        release()
        spares.refill()
      }
    }
  }

  return {
    get sparesReady () { return spares.ready },
    lease: (owner, signal) => shared === null ? leaseFresh(owner, signal) : leaseShared(shared, owner, signal),
    refill: spares.refill,
    async close () {
      await Promise.all([spares.close(), shared?.close()])
    }
  }
}

function leaseShared (shared: SharedServer, { secrets }: Owner, signal: AbortSignal): Lease {
  let opening: Promise<Manager> | null = null

  async function open (): Promise<Manager> {
    const manager = await shared.use(signal)
    return {
      ...manager,
      listTools: limits => manager.listTools({ ...limits, secrets }),
      callTool: (name, args, limits) => manager.callTool(name, args, { ...limits, secrets })
    }
  }

  return {
    open () {
      opening ??= open()
      return opening
    },
    async release () {
      if (opening === null) return
      await opening.catch(() => {}) // whoever opened it has been told
      shared.leave()
    }
  }
}
