import type { Release, Semaphore } from '../../semaphore.ts'
import type { ServerClient } from '../client/server-client.ts'
import type { Lease, Server } from '../server.ts'
import { credentialNames, fillCommand, type StdioSpec } from '../servers-file/server-spec.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import {
  createProcessClient, type Owner, type ProcessClient, type ProcessOptions, type RunningProcess
} from './process-client.ts'
import { createSharedProcess, type SharedProcess } from './shared-process.ts'
import { createWarmSpares, retryOnDeadSpare, type WarmSpares } from './warm-spares.ts'

export interface ProcessServerOptions extends ProcessOptions {
  /** Processes of this worker that may be alive, and those among them that may be starting. */
  alive: Semaphore
  starting: Semaphore
  /** How many spares a server has whose spec does not say. */
  warmSpares: number
  spareMaxAgeMs: number
  sharedIdleMs: number
  /** Gets failures that no request sees. */
  onTrouble: (error: unknown, message: string) => void
}

/** A request that runs long must not keep its spare from being replaced until it ends (ms). */
const refillDelayMs = 250

/** An MCP server as processes of this worker: a fresh one for each request, or one for all. */
export function createProcessServer (spec: StdioSpec, options: ProcessServerOptions): Server {
  // A server that needs a session's credentials can only be started for a request of that session.
  const command = credentialNames(spec).length > 0 ? null : fillCommand(spec, {})
  return spec.lifecycle === 'shared' && command !== null
    ? createSharedServer(spec, command, options)
    : createFreshServer(spec, command, options)
}

function createSharedServer (spec: StdioSpec, command: StdioCommand, options: ProcessServerOptions): Server {
  const process = createSharedProcess(command, {
    ...options,
    idleMs: options.sharedIdleMs,
    onEnded: retryMs => options.onTrouble(
      undefined, `a shared server ended by itself, it may start again in ${retryMs} ms`
    )
  })
  return {
    spec,
    lease: (_, signal) => leaseShared(process, signal),
    close: process.close
  }
}

function leaseShared (process: SharedProcess, signal: AbortSignal): Lease {
  let opening: Promise<ServerClient> | null = null

  return {
    open () {
      opening ??= process.use(signal)
      return opening
    },
    async release () {
      if (opening === null) return
      await opening.catch(() => {}) // the caller of `open` has this error
      process.leave()
    }
  }
}

/** `common` is the command of every session; `null` when each session has its own, and no spare can be started. */
function createFreshServer (spec: StdioSpec, common: StdioCommand | null, options: ProcessServerOptions): Server {
  const maxReady = spec.warmSpares ?? options.warmSpares
  const spares = common === null || maxReady === 0
    ? null
    : createWarmSpares(common, {
      ...options,
      maxReady,
      maxAgeMs: options.spareMaxAgeMs,
      onFailed: (error, retryMs) => options.onTrouble(
        error, `a warm spare failed, the next is started in ${retryMs} ms`
      )
    })
  return {
    spec,
    ...(spares !== null && { spares }),
    lease ({ credentials, onStderrLine }, signal) {
      const command = common ?? fillCommand(spec, credentials)
      const owner = { secrets: Object.values(credentials), ...(onStderrLine && { onStderrLine }) }
      return leaseFresh(command, owner, signal, spares, options)
    },
    async close () {
      await spares?.close()
    }
  }
}

function leaseFresh (
  command: StdioCommand, owner: Owner, signal: AbortSignal, spares: WarmSpares | null, options: ProcessServerOptions
): Lease {
  const { alive, starting, onTrouble } = options
  let client: ProcessClient | null = null
  let release: Release = () => {}
  let opening: Promise<ServerClient> | null = null

  async function open (): Promise<ServerClient> {
    const spare = spares?.take() ?? null
    return spare === null ? await openCold() : useSpare(spare)
  }

  function useSpare (spare: RunningProcess): ServerClient {
    client = spare.client
    release = spare.release
    client.assign(owner)
    setTimeout(() => spares?.refill(), refillDelayMs).unref()
    return retryOnDeadSpare(client, () => {
      onTrouble(undefined, 'a warm spare ended as it was taken, its request gets a fresh server')
      const another = spare.client.close().then(spare.release).then(openCold)
      opening = another // `release` waits for it, should the request end meanwhile
      return another
    })
  }

  async function openCold (): Promise<ProcessClient> {
    release = await alive.acquire(signal)
    const started = await starting.acquire(signal)
    try {
      client = createProcessClient(command, options)
      client.assign(owner)
      await client.open(signal)
    } finally {
      started()
    }
    return client
  }

  return {
    open () {
      opening ??= open()
      return opening
    },
    async release () {
      await opening?.catch(() => {}) // the caller of `open` has this error
      await client?.close()
      release()
      spares?.refill()
    }
  }
}
