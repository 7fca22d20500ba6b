import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { settledWithin } from '../../alarms.ts'
import { corkWrites } from '../../corked-writes.ts'
import { events, type ProcessEnd } from '../../telemetry/channels.ts'
import { createIntake, defaultBounds, type IntakeBounds } from './bounds.ts'
import { heavyTurn } from './heavy-turns.ts'
import { createLineSplitter } from './line-splitter.ts'
import { readPaced } from './paced-reading.ts'
import { killProcessGroup } from './process-group.ts'
import { lowerPriority, offerToOomKiller } from './process-standing.ts'
import type { ProcessUser } from './process-user.ts'
import type { Reaper } from './reaper.ts'
import { readStderr } from './stderr-reading.ts'
import { createStderrTail } from './stderr-tail.ts'
import { asText, deliver, NotSentError, type TextTransport } from './text-transport.ts'

/** How a process is started. Holds secrets: never log it, log `name`. */
export interface StdioCommand {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Left out: the service's own. */
  readonly user?: ProcessUser
  /** The operator's secrets in it, as far as they can be known: no sentence and no log line may hold one. */
  readonly secrets?: readonly string[]
}

export interface StdioTransportOptions {
  /** Longest line that the server may write (bytes); a longer one ends it. */
  maxMessageBytes: number
  bounds?: IntakeBounds
  /** How long the server may take to end after its input closed, and again after SIGTERM (ms). */
  stopStepMs: number
  /** How far the server stands back from this process, where both want the processor: see {@link lowerPriority}. */
  niceness?: number
  /**
   * Gets each complete line that the server writes to stderr, and those on stdout that are no messages: of hundreds at
   * once the first and the last.
   */
  onStderrLine?: (line: string) => void
  /** Ends the server's process group if this worker is killed. */
  reaper?: Reaper
}

/** What changes of a transport while its server runs. */
interface StdioState {
  pid: number | null
  stderr: Readable | null
  exit: Exit | null
  failure: Error | null
  noiseLines: number
}

/** How a server process ended. */
export interface Exit { code: number | null, signal: NodeJS.Signals | null }

export interface StdioTransport extends TextTransport {
  readonly pid: number | null
  /** By this property the SDK knows a stdio transport, and probes the era of the protocol in place. */
  readonly stderr: Readable | null
  /** Whether the server runs and reads, as far as is known by now. */
  isRunning: () => boolean
  /** How the process ended, once it has. */
  readonly exit: Exit | null
  /** Why the transport gave the server up, when it did. */
  readonly failure: Error | null
  /** How many lines on stdout were no messages. */
  readonly noiseLines: number
  /** Resolves when the process has ended and its last output was read; never before it was started. */
  readonly ended: Promise<void>
  /** The last lines that the server wrote beside its messages; or the first ones, `…`, and the last ones. */
  stderrLines: (which?: 'last' | 'first and last') => string[]
  /** Ends the server and every process of its group. Resolves when it is gone. May be called at any time, and twice. */
  close: () => Promise<void>
}

/** Longest part that is kept of a line on stdout that is no message (characters). */
const maxNoiseLength = 4_096

/** How many lines are kept of the beginning and of the end of what came at once, where it is no message. */
const maxKeptNoise = 200

/** How long output that was written before the end may take to arrive after it (ms). */
const drainMs = 100

/**
 * A server as a child process, JSON-RPC lines on its stdin and stdout.
 *
 * Differs from the SDK's transport in three things that a service needs. The child leads a process group of its own,
 * which ends as a whole: a wrapper like `npx` or `sh -c` leaves nothing behind. The end is the process's `exit`; a
 * grandchild may hold its pipes open for ever, and then `close` never comes. stderr is always read, so that a
 * talkative server cannot block.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 * @see https://github.com/modelcontextprotocol/typescript-sdk/issues/2023
 */
export function createStdioTransport (command: StdioCommand, options: StdioTransportOptions): StdioTransport {
  const tail = createStderrTail(options.onStderrLine)
  let hasBegun = false
  let child: ChildProcess | null = null
  let exited: Promise<void> = Promise.resolve()
  let closing: Promise<void> | null = null
  let announce = (): void => {}
  /** Reads what has come, before the end of the process is told. */
  let flush = (): void => {}
  let readSkipped = (): void => {}
  const ended = new Promise<void>(resolve => { announce = resolve })

  const transport: StdioTransport & StdioState = {
    pid: null,
    stderr: null,
    exit: null,
    failure: null,
    noiseLines: 0,
    ended,
    isRunning () {
      const { pid, exit, failure } = transport
      return pid !== null && child?.stdin?.writable === true && exit === null && failure === null
    },
    stderrLines (which = 'last') {
      readSkipped()
      return which === 'last' ? tail.lines() : tail.firstAndLast()
    },

    async start () {
      if (hasBegun) throw new Error('the transport was started before')
      hasBegun = true
      // A start copies the tables of this process's memory, which takes milliseconds.
      await heavyTurn({ isUrgent: true })
      if (closing !== null) throw new Error('the transport is closed')
      const { cwd, env, user } = command
      child = spawn(command.command, command.args, { ...user, cwd, env, stdio: 'pipe', detached: true })
      transport.pid = child.pid ?? null
      transport.stderr = child.stderr
      if (child.pid !== undefined) {
        lowerPriority(child.pid, options.niceness ?? 0)
        offerToOomKiller(child.pid)
        options.reaper?.add(child.pid)
      }
      attach(child)
      await spawned(child)
    },

    async send (message) {
      const stdin = child?.stdin
      if (!stdin?.writable) throw new NotSentError(new Error('the server does not read any more'))
      corkWrites(stdin) // calls of many requests, when the server is shared
      await new Promise<void>((resolve, reject) => {
        // The callback also runs, with an error, when the pipe breaks while the write waits: a send always settles.
        stdin.write(`${asLine(asText(message).text)}\n`, error => error ? reject(new NotSentError(error)) : resolve())
      })
    },

    close () {
      closing ??= stop()
      return closing
    }
  }

  function attach (child: ChildProcess): void {
    const intake = createIntake(options.bounds ?? defaultBounds)
    const lines = createLineSplitter(options.maxMessageBytes, line => {
      intake.message()
      const received = deliver(transport, line)
      if (received === 'answer') intake.answered()
      if (received === 'noise') keepNoise([line])
    }, lines => {
      keepNoise(lines) // they are quoted when they are too many
      intake.message(lines.length)
    })
    function giveUp (error: Error): void {
      transport.failure ??= error
      transport.onerror?.(transport.failure)
      transport.close().catch(() => {}) // never rejects
    }
    if (child.stdout !== null) {
      const stdout = readPaced(child.stdout, {
        push (chunk) {
          intake.bytes(chunk.length)
          lines.push(chunk)
        },
        end () {
          try {
            lines.end()
          } catch (error) {
            giveUp(error as Error)
          }
        },
        fail: giveUp
      })
      flush = stdout.flush
    }
    if (child.stderr !== null) readSkipped = readStderr(child.stderr, tail.push)
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      stream?.on('error', error => transport.onerror?.(error)) // EPIPE when the server ends first; its exit says more
    }
    exited = new Promise(resolve => {
      child.once('error', error => { // it could not be started, and there will be no exit
        transport.failure ??= error
        if (child.pid === undefined) tellEnd('not_started')
        resolve()
      })
      child.once('exit', (code, signal) => {
        transport.exit = { code, signal }
        const byItself = signal === null ? 'exited' : 'killed'
        tellEnd(transport.failure !== null ? 'given_up' : closing !== null ? 'stopped' : byItself)
        resolve()
        announceEnd(child)
      })
    })
  }

  /** Some servers print banners to stdout, or why they end, although they must not. It is kept like stderr. */
  function keepNoise (lines: string[]): void {
    const written = lines.filter(line => line.trim() !== '')
    transport.noiseLines += written.length
    const isLong = written.length > 2 * maxKeptNoise
    const kept = isLong ? [...written.slice(0, maxKeptNoise), ...written.slice(-maxKeptNoise)] : written
    for (const line of kept) tail.pushLine(line.slice(0, maxNoiseLength))
  }

  function tellEnd (end: ProcessEnd['end']): void {
    if (events.processEnd.hasSubscribers) events.processEnd.publish({ server: command.name, end } satisfies ProcessEnd)
  }

  function announceEnd (child: ChildProcess): void {
    const drained = Promise.all([drainedOf(child.stdout), drainedOf(child.stderr)])
    settledWithin(drained, drainMs).then(() => {
      flush()
      announce()
      transport.onclose?.()
    })
  }

  async function stop (): Promise<void> {
    if (child === null || child.pid === undefined) return
    const { pid, stdin, stdout, stderr } = child
    await killProcessGroup({ pid, closeInput: () => stdin?.end(), exited }, options.stopStepMs)
    options.reaper?.remove(pid)
    for (const stream of [stdin, stdout, stderr]) stream?.destroy()
  }

  return transport
}

function spawned (child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}

function drainedOf (stream: Readable | null): Promise<void> {
  return new Promise(resolve => {
    if (stream === null || stream.readableEnded || stream.destroyed) resolve()
    else stream.once('close', resolve)
  })
}

/** A message on one line. Line breaks in JSON are white space between its parts. */
const asLine = (text: string) => /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, ' ') : text
