import { setTimeout as delay } from 'node:timers/promises'
import { type Client, ProtocolError, SdkError, SdkErrorCode } from '@modelcontextprotocol/client'
import { CallerLeftError, McpCallError, McpStartError, McpStartTimeoutError } from '../../errors.ts'
import { abortable } from '../../cancellation.ts'
import { createClient } from '../client/sdk-client.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import { causeOf, isTimeout, maskOf, maxQuoteLength, sentenceOf, translate } from '../client/errors.ts'
import { type Asked, createServerClient, type ServerConnection, type ServerClient, type RequestLimits } from '../client/server-client.ts'
import type { Reaper } from '../transports/reaper.ts'
import { createStdioTransport, type Exit, type StdioCommand, type StdioTransport } from '../transports/stdio.ts'

export interface ProcessOptions {
  /** How long the server may take from its start to its handshake (ms). */
  startTimeoutMs: number
  stopStepMs: number
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
  /** The server answers several requests at once: what it writes may be about any of them, and is told to none. */
  isShared?: boolean
  /** InputRequests of the server may be answered later; see ServerClient.callTool. */
  declaresElicitation?: boolean
  reaper?: Reaper
  /** Left out, each process is asked anew. */
  era?: EraMemory
  onListChanged?: () => void
}

/** Whom a server works for. */
export interface Owner {
  /** Values that no sentence and no log line may hold. */
  secrets: readonly unknown[]
  /** Gets each line that the server writes to stderr from now on, secrets masked. */
  onStderrLine?: (line: string) => void
}

/** One MCP server as a process of its own: opened on demand, closed when whoever it works for is done with it. */
export interface ProcessClient extends ServerClient {
  readonly link: ServerConnection
  readonly pid: number | null
  /** False once the process has ended. */
  readonly isRunning: boolean
  /** How many messages the server was given, to their last byte. */
  readonly messagesWritten: number
  /** Resolves when the process has ended; never before it was started. */
  readonly ended: Promise<void>
  /** Says whom the server works for from now on. */
  assign: (owner: Owner) => void
  /** Starts the server and shakes hands. May be called again; it starts once. Rejects after `close`. */
  open: (signal: AbortSignal) => Promise<void>
  /** Ends the server with all its processes, also while it starts. Never rejects; may be called twice. */
  close: () => Promise<void>
}

/** How long the end of a server that broke its pipe may take to be known (ms). */
const lastWordsMs = 250
/** A server that is silent for this part of its start is taken for one that does not know the question for its era. */
const probeShare = 3

/**
 * The era is asked in the handshake itself, which costs a process nothing: a modern server answers the question in place of
 * the handshake. Only servers that end when they are asked what they do not know are remembered and asked otherwise.
 */
export function createProcessClient (command: StdioCommand, options: ProcessOptions): ProcessClient {
  const { startTimeoutMs, era: memory, isShared = false } = options
  let owner: Owner = { secrets: [] }
  let mask = maskOf(command.secrets)
  let transport = createTransport()
  let client = newClient()
  let opening: Promise<void> | null = null
  let isClosed = false

  function createTransport (): StdioTransport {
    return createStdioTransport(command, {
      maxMessageBytes: options.maxMessageBytes,
      stopStepMs: options.stopStepMs,
      onStderrLine: line => owner.onStderrLine?.(mask(line)),
      ...(options.reaper && { reaper: options.reaper })
    })
  }

  function newClient (): Client {
    return createClient({
      probeTimeoutMs: startTimeoutMs / probeShare,
      declaresElicitation: options.declaresElicitation ?? false,
      ...(options.onListChanged && { onListChanged: options.onListChanged })
    })
  }

  async function connect (signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + startTimeoutMs
    const known = await memory?.recall() ?? null
    try {
      await shakeHands(known, deadline, signal)
    } catch (error) {
      await lastWords(error)
      const again = otherEra(known, error)
      if (again === undefined || isClosed || signal.aborted) throw startError(error, signal)
      if (known !== null) await memory?.forget()
      await startAgain(again, deadline, signal)
    }
  }

  /** What a second process is to be told of its era, when the first one ended over it: nothing was asked of it yet. */
  function otherEra (known: Era | null, error: unknown): Era | null | undefined {
    const endedOverTheQuestion = known === null && transport.exit !== null && error instanceof SdkError && error.code === SdkErrorCode.EraNegotiationFailed
    if (endedOverTheQuestion) return { kind: 'legacy' }
    const refusedTheOldHandshake = known !== null && error instanceof ProtocolError
    return refusedTheOldHandshake ? null : undefined
  }

  async function startAgain (era: Era | null, deadline: number, signal: AbortSignal): Promise<void> {
    await transport.close()
    if (isClosed) throw startError(new Error('it was closed'), signal)
    transport = createTransport()
    client = newClient()
    try {
      await shakeHands(era, deadline, signal)
    } catch (error) {
      await lastWords(error)
      throw startError(error, signal)
    }
  }

  async function shakeHands (era: Era | null, deadline: number, signal: AbortSignal): Promise<void> {
    const timeout = Math.max(1, deadline - performance.now())
    // Of a modern server only that it is one is known: it is asked all the same, and is ready when it has answered.
    await abortable(client.connect(transport, { timeout, signal, ...(era?.kind === 'legacy' && { prior: era }) }), signal)
    if (client.getProtocolEra() === 'legacy') await memory?.remember({ kind: 'legacy' })
  }

  /** A pipe breaks before the process that broke it has ended, and how it ended, and what it said, is what people need to know. */
  async function lastWords (error: unknown): Promise<void> {
    if (error instanceof ProtocolError || isTimeout(error) || transport.pid === null) return
    await Promise.race([transport.ended, delay(lastWordsMs, undefined, { ref: false })])
  }

  function startError (error: unknown, signal: AbortSignal): Error {
    if (signal.aborted) return new CallerLeftError()
    if (isTimeout(error)) return new McpStartTimeoutError(command.name, startTimeoutMs / 1000, quoteStderr())
    if (transport.exit) return new McpStartError(command.name, `ended before it was ready (${describeExit(transport.exit)})${quoteStderr()}`)
    const reason = transport.failure ?? error
    return new McpStartError(command.name, `could not be started: ${sentenceOf(reason, mask)}${quoteStderr()}`, { cause: causeOf(error, mask) })
  }

  function callError (error: unknown, asked: Asked, limits: RequestLimits): Error {
    const mask = maskOf(command.secrets, owner.secrets, limits.secrets)
    const known = translate(error, { serverName: command.name, asked, limits, mask })
    if (known !== null) return known
    const { what } = asked
    const cause = causeOf(error, mask)
    if (transport.failure) return new McpCallError(command.name, `broke off ${what}: ${sentenceOf(transport.failure, mask)}`, { cause })
    if (transport.exit) return new McpCallError(command.name, `ended during ${what} (${describeExit(transport.exit)})${isShared ? '' : quoteStderr()}`)
    return new McpCallError(command.name, `did not answer ${what} as the protocol says: ${sentenceOf(error, mask)}`, { cause })
  }

  function quoteStderr (): string {
    // Line by line: a line that was cut off may end within a secret, which is only recognised at the end.
    const quote = transport.stderrLines().map(mask).join('\n').slice(-maxQuoteLength)
    return quote === '' ? '' : `; it said: ${quote}`
  }

  const link: ServerConnection = {
    serverName: command.name,
    isOwn: !isShared,
    onListChanged: () => options.onListChanged?.(),
    instructions: async () => client.getInstructions(),
    async ask (asked, limits, request) {
      try {
        return await request(client, { timeout: limits.timeoutMs, maxTotalTimeout: limits.timeoutMs, signal: limits.signal })
      } catch (error) {
        await lastWords(error)
        throw callError(error, asked, limits)
      }
    }
  }

  return {
    ...createServerClient(link),
    link,
    get messagesWritten () { return transport.messagesWritten },
    get pid () { return transport.pid },
    get isRunning () { return transport.pid !== null && transport.exit === null && transport.failure === null },
    get ended () { return transport.ended },

    assign (newOwner) {
      owner = newOwner
      mask = maskOf(command.secrets, newOwner.secrets)
    },

    open (signal) {
      opening ??= connect(signal)
      return opening
    },

    async close () {
      isClosed = true
      // The transport, not the client: a client whose server ended by itself has let go of its transport.
      await transport.close()
    }
  }
}

function describeExit ({ code, signal }: Exit): string {
  return signal === null ? `exit code ${code}` : signal
}
