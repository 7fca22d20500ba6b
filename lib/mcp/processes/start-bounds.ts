import { createStartPace } from './start-pace.ts'
import { isRequest, type Rank } from './start-queue.ts'

export interface StartBoundsOptions {
  /** How many processes may be alive. */
  maxAlive: number
  /** How many may compute for their start at once, and how many starts of one server may be under way for requests. */
  maxStarting: number
  /** Something is free that was not. */
  onFreed: () => void
}

/** What one server holds of the bounds. */
export interface ServerShare {
  readonly name: string
  /** Processes that work for requests, those included that start or end. */
  busy: number
  /** Processes that work for nobody, those included that start or end. Each can be ended when a request needs room. */
  idle: number
  /** Starts for requests that are not finished. */
  starting: number
  /** Its last start took so long that it waited for something. */
  isSlow: boolean
  /** When one of its processes last sent more than it may. */
  excessAt: number
  /** Whether it goes behind the others: its starts are slow, or it sent more than it may a short while ago. */
  readonly isLast: boolean
}

/** What a turn has to know of its process. */
export interface Sender {
  /** It sent more than it may, and was ended for it. */
  exceededBound: () => boolean
}

/** One process, from its start to its end. */
export interface Turn {
  /** The outcome of the start of `sender`. The process counts as starting until then. */
  during: <Value>(opening: Promise<Value>, sender: Sender) => Promise<Value>
  /** Says whether the process works for requests from now on, or for nobody. A spare begins with nobody. */
  setIdle: (isIdle: boolean) => void
  /** The process ends, so that its room will be free. May be called twice. */
  leave: () => void
  /** The process has ended, or was never started. May be called twice. */
  release: () => void
}

export interface StartBounds {
  /** How many processes are alive, those included that start or end. */
  readonly alive: number
  /** How many have not finished their start. */
  readonly starting: number
  addServer: (name: string) => ServerShare
  removeServer: (server: ServerShare) => void
  mayStart: (server: ServerShare, rank: Rank) => boolean
  /** How many processes must end so that `count` starts can begin that only lack room. Ending ones are not counted. */
  missingRoom: (count: number) => number
  /** Whether a server may start as soon as there is room. */
  lacksRoom: (server: ServerShare, rank: Rank) => boolean
  /** What keeps a server from starting, for the sentence of an error. */
  shortage: (server: ServerShare) => string
  begin: (server: ServerShare, rank: Rank) => Turn
}

/** How long a start that nobody waits for keeps others of its kind from starting (ms). */
const aloneMs = 5_000
/** How long a server goes behind the others after it sent more than it may (ms). */
const excessMs = 60_000
/** How many times as many processes as are left to the others a server may have. */
const shareFactor = 4

/**
 * A start costs processor, and a process costs memory as long as it lives. Both are bounded over all servers.
 *
 * - A start that takes long waits for something, or hangs. It leaves the processor to others after about a second.
 *   Servers that are known for it leave a place free from the beginning. So do those that sent more than they may:
 *   each of their starts costs the others more than a start.
 * - A server leaves a part of the processes to the others. Else those that hang would take all.
 * - Starts that nobody waits for begin one after the other. A spare starts when nothing else computes.
 */
export function createStartBounds ({ maxAlive, maxStarting, onFreed }: StartBoundsOptions): StartBounds {
  const servers = new Set<ServerShare>()
  const pace = createStartPace()
  /** The servers of the starts that compute. */
  const computing = new Map<symbol, ServerShare>()
  let alive = 0
  let busy = 0
  let starting = 0
  let leaving = 0
  let isOneAlone = false

  const roomOf = (rank: Rank) => rank === 'background' ? Math.max(1, maxAlive - 1) : maxAlive

  function leavesShare (server: ServerShare, rank: Rank): boolean {
    const own = server.busy + (rank === 'spare' ? server.idle : 0)
    // Idle processes take nothing from the others: they are ended for them.
    const leftToOthers = maxAlive - busy - 1
    return own === 0 || servers.size < 2 || own < shareFactor * leftToOthers
  }

  function hasProcessor (server: ServerShare, rank: Rank): boolean {
    if (rank === 'spare' && computing.size > 0) return false
    const ofLast = [...computing.values()].filter(({ isLast }) => isLast).length
    if (server.isLast && maxStarting > 1 && ofLast >= maxStarting - 1) return false
    return computing.size < maxStarting
  }

  const fitsBesidesRoom = (server: ServerShare, rank: Rank) =>
    (isRequest(rank) ? server.starting < maxStarting : !isOneAlone) &&
    hasProcessor(server, rank) && leavesShare(server, rank)

  function begin (server: ServerShare, rank: Rank): Turn {
    const id = Symbol(server.name)
    const startedAt = performance.now()
    let isIdle = rank === 'spare'
    let isStarting = true
    let isAlone = !isRequest(rank)
    let isLeaving = false
    let isAlive = true
    let sender: Sender | null = null
    const slowTimer = setTimeout(() => {
      server.isSlow = true
      computing.delete(id)
      onFreed()
    }, pace.slowMs)
    const aloneTimer = isAlone ? setTimeout(endAlone, aloneMs) : undefined
    slowTimer.unref()
    aloneTimer?.unref()

    alive++
    starting++
    computing.set(id, server)
    if (isAlone) isOneAlone = true
    else server.starting++
    count(1)

    function count (change: 1 | -1): void {
      if (isIdle) {
        server.idle += change
      } else {
        server.busy += change
        busy += change
      }
    }

    function endAlone (): void {
      if (!isAlone) return
      isAlone = isOneAlone = false
      onFreed()
    }

    function judge (): void {
      if (sender?.exceededBound()) server.excessAt = performance.now()
    }

    function endStart (): void {
      judge()
      if (!isStarting) return
      isStarting = false
      clearTimeout(slowTimer)
      clearTimeout(aloneTimer)
      starting--
      computing.delete(id)
      if (isRequest(rank)) server.starting--
      if (isAlone) isAlone = isOneAlone = false
    }

    return {
      async during (opening, startedProcess) {
        sender = startedProcess
        try {
          const opened = await opening
          pace.add(performance.now() - startedAt)
          if (computing.has(id)) server.isSlow = false
          return opened
        } finally {
          endStart()
          onFreed()
        }
      },

      setIdle (value) {
        if (!isAlive) return
        count(-1)
        isIdle = value
        count(1)
        if (isIdle) onFreed()
      },

      leave () {
        if (isLeaving || !isAlive) return
        isLeaving = true
        leaving++
      },

      release () {
        if (!isAlive) return
        isAlive = false
        endStart()
        if (isLeaving) leaving--
        alive--
        count(-1)
        onFreed()
      }
    }
  }

  return {
    get alive () { return alive },
    get starting () { return starting },

    addServer (name) {
      const server = {
        name,
        busy: 0,
        idle: 0,
        starting: 0,
        isSlow: false,
        excessAt: -Infinity,
        get isLast () { return this.isSlow || performance.now() - this.excessAt < excessMs }
      }
      servers.add(server)
      return server
    },

    removeServer (server) {
      servers.delete(server)
      onFreed()
    },

    mayStart: (server, rank) => alive < roomOf(rank) && fitsBesidesRoom(server, rank),
    lacksRoom: (server, rank) => alive >= roomOf(rank) && fitsBesidesRoom(server, rank),
    missingRoom: count => Math.min(count, maxStarting - computing.size) - leaving,

    shortage (server) {
      if (alive >= maxAlive) return `all ${maxAlive} MCP servers that may run are running`
      if (!leavesShare(server, 'call')) return `MCP server ${server.name} runs as often as it may beside the others`
      return 'other MCP servers are starting'
    },

    begin
  }
}
