import { setTimeout as delay } from 'node:timers/promises'
import { type CallToolResult, Client, type ClientOptions, ProtocolError, ProtocolErrorCode, SdkError, SdkErrorCode, type Tool } from '@modelcontextprotocol/client'
import {
  CallerLeftError, McpCallError, McpStartError, McpStartTimeoutError, McpTimeoutError, ToolArgumentsError
} from '../errors.ts'
import { createMask, type Mask } from '../mask.ts'
import { packageName, version } from '../version.ts'
import type { Reaper } from './reaper.ts'
import type { StdioCommand } from './server-spec.ts'
import { createStdioTransport, type Exit, type StdioTransport } from './stdio-transport.ts'

export interface ManagerOptions {
  /** How long the server may take from its start to its handshake (ms). */
  startTimeoutMs: number
  stopStepMs: number
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
  /** The server answers several requests at once: what it writes may be about any of them, and is told to none. */
  isShared?: boolean
  reaper?: Reaper
}

/** Whom a server works for. */
export interface Owner {
  /** Values that no sentence and no log line may hold. */
  secrets: readonly unknown[]
  /** Gets each line that the server writes to stderr from now on, secrets masked. */
  onStderrLine?: (line: string) => void
}

export interface RequestLimits {
  timeoutMs: number
  /** Aborts when nobody waits for the answer any more; the server is told. */
  signal: AbortSignal
  /** Values that a rejection's sentence must not hold, beside the owner's. */
  secrets?: readonly unknown[]
}

export interface ListedTools {
  tools: Tool[]
  /** What the server says of its own use, when it says something. */
  instructions: string | undefined
}

/**
 * One MCP server as a process of its own: opened on demand, closed when whoever it works for is done with it.
 *
 * Rejections are errors of lib/errors.ts; their messages quote what the server said, bounded, with the secrets masked.
 */
export interface Manager {
  readonly serverName: string
  readonly pid: number | null
  /** False once the process has ended. */
  readonly isRunning: boolean
  /** Resolves when the process has ended; never before it was started. */
  readonly ended: Promise<void>
  /** Says whom the server works for from now on. */
  assign: (owner: Owner) => void
  /** Starts the server and shakes hands. May be called again; it starts once. Rejects after `close`. */
  open: (signal: AbortSignal) => Promise<void>
  /** All tools, every page of them. */
  listTools: (limits: RequestLimits) => Promise<ListedTools>
  callTool: (name: string, args: Record<string, unknown>, limits: RequestLimits) => Promise<CallToolResult>
  /** Ends the server with all its processes, also while it starts. Never rejects; may be called twice. */
  close: () => Promise<void>
}

const maxQuoteLength = 1_000

/** How long the end of a server that broke its pipe may take to be known (ms). */
const lastWordsMs = 250

/** Results are passed on as the server gave them: whether they keep to the server's own schema is the caller's to judge. */
const passThroughValidator = {
  getValidator: () => (input: unknown) => ({ valid: true, data: input, errorMessage: undefined })
} as NonNullable<ClientOptions['jsonSchemaValidator']> // generic over what the schema describes, which only the schema knows

export function createManager (spec: StdioCommand, options: ManagerOptions): Manager {
  let owner: Owner = { secrets: [] }
  let mask = createMask([])
  const transport: StdioTransport = createStdioTransport(spec, {
    maxMessageBytes: options.maxMessageBytes,
    stopStepMs: options.stopStepMs,
    onStderrLine: line => owner.onStderrLine?.(mask(line)),
    ...(options.reaper && { reaper: options.reaper })
  })
  const client = new Client({ name: packageName, version }, { jsonSchemaValidator: passThroughValidator })
  let opening: Promise<void> | null = null

  async function connect (signal: AbortSignal): Promise<void> {
    try {
      await client.connect(transport, { timeout: options.startTimeoutMs, signal })
    } catch (error) {
      await lastWords(error)
      throw startError(error, signal)
    }
  }

  /** A pipe breaks before the process that broke it has ended, and how it ended, and what it said, is what people need to know. */
  async function lastWords (error: unknown): Promise<void> {
    if (error instanceof ProtocolError || isTimeout(error) || transport.pid === null) return
    await Promise.race([transport.ended, delay(lastWordsMs, undefined, { ref: false })])
  }

  function startError (error: unknown, signal: AbortSignal): Error {
    if (signal.aborted) return new CallerLeftError()
    const sentence = (reason: unknown) => sentenceOf(reason, mask)
    if (isTimeout(error)) return new McpStartTimeoutError(spec.name, options.startTimeoutMs / 1000, quoteStderr())
    if (transport.exit) return new McpStartError(spec.name, `ended before it was ready (${describeExit(transport.exit)})${quoteStderr()}`)
    const reason = transport.failure ?? error
    return new McpStartError(spec.name, `could not be started: ${sentence(reason)}${quoteStderr()}`, { cause: causeOf(error, mask) })
  }

  function callError (error: unknown, what: string, limits: RequestLimits): Error {
    if (limits.signal.aborted) return new CallerLeftError()
    const mask = createMask([...owner.secrets, ...limits.secrets ?? []])
    const sentence = (reason: unknown) => sentenceOf(reason, mask)
    const cause = causeOf(error, mask)
    if (isTimeout(error)) return new McpTimeoutError(spec.name, what, limits.timeoutMs / 1000)
    if (error instanceof ProtocolError) return new McpCallError(spec.name, `answered ${what} with an error: ${sentence(error)}`, { cause })
    if (transport.failure) return new McpCallError(spec.name, `broke off ${what}: ${sentence(transport.failure)}`, { cause })
    if (transport.exit) return new McpCallError(spec.name, `ended during ${what} (${describeExit(transport.exit)})${options.isShared ? '' : quoteStderr()}`)
    return new McpCallError(spec.name, `did not answer ${what} as the protocol says: ${sentence(error)}`, { cause })
  }

  function quoteStderr (): string {
    // Line by line: a line that was cut off may end within a secret, which is only recognised at the end.
    const quote = transport.stderrLines().map(mask).join('\n').slice(-maxQuoteLength)
    return quote === '' ? '' : `; it said: ${quote}`
  }

  return {
    serverName: spec.name,
    get pid () { return transport.pid },
    get isRunning () { return transport.pid !== null && transport.exit === null && transport.failure === null },
    ended: transport.ended,

    assign (newOwner) {
      owner = newOwner
      mask = createMask(newOwner.secrets)
    },

    open (signal) {
      opening ??= connect(signal)
      return opening
    },

    async listTools (limits) {
      const { timeoutMs: timeout, signal } = limits
      try {
        const { tools } = await client.listTools(undefined, { timeout, maxTotalTimeout: timeout, signal })
        return { tools, instructions: client.getInstructions() }
      } catch (error) {
        await lastWords(error)
        throw callError(error, 'the list of tools', limits)
      }
    },

    async callTool (name, args, limits) {
      const { timeoutMs: timeout, signal } = limits
      try {
        return await client.callTool({ name, arguments: args }, { timeout, maxTotalTimeout: timeout, signal })
      } catch (error) {
        if (error instanceof ProtocolError && error.code === ProtocolErrorCode.InvalidParams) {
          throw new ToolArgumentsError(name, sentenceOf(error, createMask([...owner.secrets, ...limits.secrets ?? []])))
        }
        await lastWords(error)
        throw callError(error, `tool ${name}`, limits)
      }
    },

    async close () {
      // The transport, not the client: a client whose server ended by itself has let go of its transport.
      await transport.close()
    }
  }
}

function sentenceOf (error: unknown, mask: Mask): string {
  const { code, message } = error as NodeJS.ErrnoException
  // A spawn error's message repeats the command line; its code (ENOENT, EACCES, EAGAIN) says what went wrong.
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : mask(message).slice(0, maxQuoteLength)
}

/** What the log is told of an error's origin. A server's error may repeat what it was called with, in its stack and data, too. */
function causeOf (error: unknown, mask: Mask): Error {
  const { name, message, stack } = error as Error
  return Object.assign(new Error(mask(message)), { name, ...(stack !== undefined && { stack: mask(stack) }) })
}

const isTimeout = (error: unknown) => error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout

function describeExit ({ code, signal }: Exit): string {
  return signal === null ? `exit code ${code}` : signal
}
