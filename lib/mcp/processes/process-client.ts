import type { CancelSignal } from '../../cancellation.ts'
import type { Mask } from '../../mask.ts'
import { inPhase } from '../../telemetry/channels.ts'
import { maskOf } from '../client/errors.ts'
import type { Peer } from '../client/handshake.ts'
import { createLingering } from '../client/lingering.ts'
import { createProtocolClient } from '../client/protocol-client.ts'
import type { EraMemory } from '../client/protocol-era.ts'
import { createServerClient, type ServerClient, type ServerConnection } from '../client/server-client.ts'
import { instructionsIn, type ServerBounds } from '../client/server-bounds.ts'
import { BoundError } from '../transports/bounds.ts'
import type { Reaper } from '../transports/reaper.ts'
import { createStdioTransport, type StdioCommand } from '../transports/stdio.ts'
import { awaitExit, callError, type FailedProcess, startError } from './process-errors.ts'
import { createProcessHandshake, type ProcessConnection } from './process-handshake.ts'
import type { Turn } from './start-bounds.ts'

export interface ProcessOptions {
  /** How long the server may take from its start to its handshake (ms). */
  startTimeoutMs: number
  /** How long the server may take to end after its input closed, and again after SIGTERM (ms). */
  stopStepMs: number
  /** How far the server stands back from the worker, where both want the processor. */
  niceness?: number
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
  bounds: ServerBounds
  /** The server serves several requests at once: its stderr may be about any of them, and is quoted to none. */
  isShared?: boolean
  /** The server's input requests may be answered later; see ServerClient.callTool. */
  declaresElicitation?: boolean
  reaper?: Reaper
  /** Remembers the server's era; left out, each process is probed. */
  era?: EraMemory
  onListChanged?: () => void
  /** The server was started and has described itself. */
  onConnected?: (peer: Peer) => void
}

/** The request that a process works for. */
export interface Owner {
  /** Values that no sentence and no log line may hold. */
  secrets: readonly unknown[]
  /** Gets each line that the server writes to stderr from now on, secrets masked. */
  onStderrLine?: (line: string) => void
}

/** One MCP server as a process of its own. */
export interface ProcessClient extends ServerClient {
  readonly connection: ServerConnection
  /** `null` before it was started. */
  pid: () => number | null
  /** Whether the server runs and reads, as far as is known by now. */
  isRunning: () => boolean
  /** Whether the server sent more than it may, and was ended for it. */
  exceededBound: () => boolean
  /** Resolves when the process has ended; never before it was started. */
  ended: () => Promise<void>
  /** Sets the request that the process works for from now on. */
  assign: (owner: Owner) => void
  /** Starts the server and shakes hands. May be called again; it starts once. Rejects after `close`. */
  open: (signal: CancelSignal) => Promise<void>
  /** Ends the server with all its processes, also while it starts. Never rejects; may be called twice. */
  close: () => Promise<void>
}

/** An open server, and its turn, which it keeps as long as it lives. */
export interface RunningProcess { client: ProcessClient, turn: Turn }

/** Ends a process with its group, and gives its turn back. Never rejects; may be called twice. */
export async function endProcess ({ client, turn }: RunningProcess): Promise<void> {
  turn.leave()
  await client.close()
  turn.release()
}

export function createProcessClient (command: StdioCommand, options: ProcessOptions): ProcessClient {
  const { startTimeoutMs, stopStepMs, maxMessageBytes, bounds, reaper, onListChanged, onConnected } = options
  const { isShared = false, niceness = 0, declaresElicitation = false } = options
  let owner: Owner = { secrets: [] }
  let mask = maskOf(command.secrets)
  let opening: Promise<void> | null = null
  const lingering = createLingering()
  const handshake = createProcessHandshake({ startTimeoutMs, era: options.era, create })

  function create (): ProcessConnection {
    const transport = createStdioTransport(command, {
      maxMessageBytes,
      ...(bounds && { bounds }),
      stopStepMs,
      niceness,
      onStderrLine: line => owner.onStderrLine?.(mask(line)),
      ...(reaper && { reaper })
    })
    const client = createProtocolClient({
      transport, declaresElicitation, isExclusive: !isShared, isProcess: true, bounds, onListChanged
    })
    return { transport, client }
  }

  const failed = (mask: Mask): FailedProcess => ({
    serverName: command.name,
    transport: handshake.current().transport,
    user: command.user,
    mask,
    wayMask: () => maskOf(command.secrets),
    isShared
  })

  const connection: ServerConnection = {
    serverName: command.name,
    isOwn: !isShared,
    usedSession: () => false,
    reconnects: false,
    // A process is one worker's, and its tasks end with it.
    keepsTasks: () => false,
    linger: lingering.add,
    bounds,
    onListChanged: () => onListChanged?.(),
    peer: () => handshake.current().client.peer(),
    instructions: async () => instructionsIn(handshake.current().client.peer() ?? {}),
    async request (description, limits, work) {
      const { client, transport } = handshake.current()
      try {
        return await work(client)
      } catch (error) {
        await awaitExit(transport, error)
        const mask = maskOf(command.secrets, owner.secrets, limits.secrets)
        throw callError(error, failed(mask), description, limits)
      }
    }
  }

  async function open (signal: CancelSignal): Promise<void> {
    try {
      await handshake.open(signal)
    } catch (error) {
      throw startError(error, failed(mask), startTimeoutMs, signal)
    }
    const peer = handshake.current().client.peer()
    if (peer !== null) onConnected?.(peer)
  }

  return {
    ...createServerClient(connection),
    connection,
    pid: () => handshake.current().transport.pid,
    isRunning: () => handshake.current().transport.isRunning(),
    exceededBound: () => handshake.current().transport.failure instanceof BoundError,
    ended: () => handshake.current().transport.ended,

    assign (newOwner) {
      owner = newOwner
      mask = maskOf(command.secrets, newOwner.secrets)
    },

    open (signal) {
      opening ??= inPhase('start', { server: command.name }, () => open(signal))
      return opening
    },

    async close () {
      if (handshake.current().transport.isRunning()) await lingering.settled()
      await handshake.close()
    }
  }
}
