import type { Semaphore, Release } from '../../semaphore.ts'
import type { ServerClient } from '../client/server-client.ts'
import { createProcessClient, type Owner, type ProcessClient, type ProcessOptions } from './process-client.ts'
import { credentialNames, fillCommand, type StdioSpec } from '../servers-file/server-spec.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import type { Lease, Server } from '../server.ts'
import { replaceableSpare } from './replaceable-spare.ts'
import { createSharedServer, type SharedServer } from './shared-process.ts'
import { createWarmSpares } from './warm-spares.ts'

export interface ProcessServerOptions extends ProcessOptions {
  /** Processes that may be alive in this worker, and those among them that may be starting. */
  alive: Semaphore
  starting: Semaphore
  /** For a spec that does not say. */
  warmSpares: number
  spareMaxAgeMs: number
  sharedIdleMs: number
  /** Something went wrong that no request hears of. */
  onTrouble: (error: unknown, message: string) => void
}

/** A request that runs long must not keep its spare from being replaced until it ends (ms). */
const refillDelayMs = 250

/** The processes of one MCP server in this worker: fresh ones for each request, spares that make that fast, or a shared one. */
export function createProcessServer (spec: StdioSpec, options: ProcessServerOptions): Server {
  const { alive, starting, onTrouble } = options
  const isPersonal = credentialNames(spec).length > 0
  // What everybody is given; a server that wants a session's credentials is started for that session only.
  const common = isPersonal ? null : fillCommand(spec, {})
  const spares = createWarmSpares(common, {
    ...options,
    most: spec.lifecycle === 'shared' ? 0 : spec.warmSpares ?? options.warmSpares,
    maxAgeMs: options.spareMaxAgeMs,
    onFailed: (error, retryMs) => onTrouble(error, `a warm spare failed, the next is started in ${retryMs} ms`)
  })
  const shared = spec.lifecycle === 'shared' && common !== null
    ? createSharedServer(common, { ...options, idleMs: options.sharedIdleMs, onEnded: retryMs => onTrouble(undefined, `a shared server ended by itself, it may start again in ${retryMs} ms`) })
    : null

  function leaseFresh (command: StdioCommand, owner: Owner, signal: AbortSignal): Lease {
    let manager: ProcessClient | null = null
    let release: Release = () => {}
    let opening: Promise<ServerClient> | null = null

    async function open (): Promise<ServerClient> {
      const spare = spares.take()
      if (spare === null) return await openCold()
      manager = spare.manager
      release = spare.release
      manager.assign(owner)
      setTimeout(spares.refill, refillDelayMs).unref()
      return replaceableSpare(manager, () => {
        onTrouble(undefined, 'a warm spare ended as it was taken, its request gets a fresh server')
        const another = spare.manager.close().then(spare.release).then(openCold)
        opening = another // what `release` then waits for, should the request end meanwhile
        return another
      })
    }

    async function openCold (): Promise<ProcessClient> {
      release = await alive.acquire(signal)
      const started = await starting.acquire(signal)
      try {
        manager = createProcessClient(command, options)
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
    spec,
    get sparesReady () { return spares.ready },
    lease ({ credentials, onStderrLine }, signal) {
      if (shared !== null) return leaseShared(shared, signal)
      const owner = { secrets: Object.values(credentials), ...(onStderrLine && { onStderrLine }) }
      return leaseFresh(common ?? fillCommand(spec, credentials), owner, signal)
    },
    keepsSessions: false,
    async endSession () {},
    refill: spares.refill,
    async close () {
      await Promise.all([spares.close(), shared?.close()])
    }
  }
}

function leaseShared (shared: SharedServer, signal: AbortSignal): Lease {
  let opening: Promise<ServerClient> | null = null

  return {
    open () {
      opening ??= shared.use(signal)
      return opening
    },
    async release () {
      if (opening === null) return
      await opening.catch(() => {}) // whoever opened it has been told
      shared.leave()
    }
  }
}
