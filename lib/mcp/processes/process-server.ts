import type { CancelSignal } from '../../cancellation.ts'
import { inPhase } from '../../telemetry/channels.ts'
import type { ServerClient } from '../client/server-client.ts'
import type { Lease, Patience, Server } from '../server.ts'
import { credentialNames, fillCommand, type StdioSpec } from '../servers-file/server-spec.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import {
  createProcessClient, endProcess, type Owner, type ProcessClient, type ProcessOptions, type RunningProcess
} from './process-client.ts'
import { createSharedProcess, type SharedProcess } from './shared-process.ts'
import type { Turn } from './start-bounds.ts'
import type { ServerStarts, StartScheduler } from './start-scheduler.ts'
import type { Wish } from './start-ticket.ts'
import { createWarmSpares, retryOnDeadSpare, type WarmSpares } from './warm-spares.ts'

export interface ProcessServerOptions extends ProcessOptions {
  /** Says when a process of this worker may start. */
  scheduler: StartScheduler
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
  const starts = options.scheduler.forServer(spec.name)
  return spec.lifecycle === 'shared' && command !== null
    ? createSharedServer(spec, command, starts, options)
    : createFreshServer(spec, command, starts, options)
}

function createSharedServer (
  spec: StdioSpec, command: StdioCommand, starts: ServerStarts, options: ProcessServerOptions
): Server {
  const process = createSharedProcess(command, {
    ...options,
    starts,
    idleMs: options.sharedIdleMs,
    onEnded: retryMs => options.onTrouble(
      undefined, `a shared server ended by itself, it may start again in ${retryMs} ms`
    )
  })
  return {
    spec,
    lease: (user, leaving) => leaseShared(process, () => wishOf(user, leaving.signal)),
    async close () {
      await process.close()
      starts.close()
    }
  }
}

const wishOf = ({ priority, waitMs }: Patience, signal: CancelSignal): Wish => ({ rank: priority, waitMs, signal })

function leaseShared (process: SharedProcess, wish: () => Wish): Lease {
  let opening: Promise<ServerClient> | null = null
  const others = createOthers(process.join)

  return {
    open () {
      opening ??= process.use(wish)
      others.begin()
      return opening
    },
    join: (patience, signal) => others.add(wishOf(patience, signal)),
    async release () {
      if (opening === null) return
      await opening.catch(() => {}) // the caller of `open` has this error
      process.leave()
    }
  }
}

/** `common` is the command of every session; `null` when each session has its own, and no spare can be started. */
function createFreshServer (
  spec: StdioSpec, common: StdioCommand | null, starts: ServerStarts, options: ProcessServerOptions
): Server {
  const maxReady = spec.warmSpares ?? options.warmSpares
  const spares = common === null || maxReady === 0
    ? null
    : createWarmSpares(common, {
      ...options,
      starts,
      maxReady,
      maxAgeMs: options.spareMaxAgeMs,
      onFailed: (error, retryMs) => options.onTrouble(
        error, `a warm spare failed, the next is started in ${retryMs} ms`
      )
    })
  return {
    spec,
    ...(spares !== null && { spares }),
    lease (user, { signal }) {
      const { credentials, onStderrLine, onTrouble = options.onTrouble } = user
      const command = common ?? fillCommand(spec, credentials)
      const owner = { secrets: Object.values(credentials), ...(onStderrLine && { onStderrLine }) }
      const era = options.era?.reportingTo(onTrouble)
      const own = { ...options, onTrouble, ...(era && { era }) }
      return leaseFresh({ command, owner, wish: wishOf(user, signal), starts, spares }, own)
    },
    async close () {
      await spares?.close()
      starts.close()
    }
  }
}

/** Others who wait for what a lease is opened for. They join when it is opened: nobody else would take the turn. */
function createOthers (join: (wish: Wish) => Promise<void>) {
  const waiting: Wish[] = []
  let hasBegun = false
  const add = (wish: Wish): void => {
    if (!hasBegun) waiting.push(wish)
    else join(wish).catch(() => {}) // they have this error elsewhere
  }
  return {
    add,
    begin () {
      hasBegun = true
      for (const wish of waiting.splice(0)) add(wish)
    }
  }
}

interface FreshLease {
  command: StdioCommand
  owner: Owner
  wish: Wish
  starts: ServerStarts
  spares: WarmSpares | null
}

function leaseFresh ({ command, owner, wish, starts, spares }: FreshLease, options: ProcessServerOptions): Lease {
  let running: RunningProcess | null = null
  let opening: Promise<ServerClient> | null = null
  const ticket = starts.ticket()
  const others = createOthers(other => ticket.join(other))

  async function open (): Promise<ServerClient> {
    const spare = spares?.take()
    if (spare) return useSpare(spare)
    const turn = await inPhase('queue', { server: command.name }, waitForTurn)
    // A spare may have become ready meanwhile: then the turn is another's.
    const late = spares?.take()
    if (!late) return await start(turn)
    turn.release()
    return useSpare(late)
  }

  /** Waits as long as anybody does who wants this server. Rejects with the error of this request. */
  async function waitForTurn (): Promise<Turn> {
    const joined = ticket.join(wish)
    joined.catch(() => {}) // it is awaited below
    others.begin()
    return await ticket.turn.catch(async error => {
      await joined
      throw error
    })
  }

  function useSpare (spare: RunningProcess): ServerClient {
    running = spare
    spare.client.assign(owner)
    setTimeout(() => spares?.refill(), refillDelayMs).unref()
    return retryOnDeadSpare(spare.client, () => {
      options.onTrouble(undefined, 'a warm spare ended as it was taken, its request gets a fresh server')
      const another = endProcess(spare).then(() => starts.wait(wish)).then(start)
      opening = another // `release` waits for it, should the request end meanwhile
      return another
    })
  }

  async function start (turn: Turn): Promise<ProcessClient> {
    const client = createProcessClient(command, options)
    running = { client, turn }
    client.assign(owner)
    await turn.during(client.open(wish.signal), client)
    return client
  }

  return {
    open () {
      opening ??= open()
      return opening
    },
    join: (patience, signal) => others.add(wishOf(patience, signal)),
    async release () {
      await opening?.catch(() => {}) // the caller of `open` has this error
      if (running !== null) await endProcess(running)
      spares?.refill()
    }
  }
}
