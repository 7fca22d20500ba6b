import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import { corkWrites } from '../../corked-writes.ts'
import { createOrderedDelivery } from './ordered-delivery.ts'
import { createLineSplitter } from './line-splitter.ts'
import type { Reaper } from './reaper.ts'
import type { StdioCommand } from '../servers-file/server-spec.ts'
import { createStderrTail } from './stderr-tail.ts'

export interface StdioTransportOptions {
  /** Longest line that the server may write (bytes); a longer one ends it. */
  maxMessageBytes: number
  /** How long the server may take to end after its input closed, and again after SIGTERM (ms). */
  stopStepMs: number
  /** Gets each complete line that the server writes to stderr, and to stdout when it is no message. */
  onStderrLine?: (line: string) => void
  /** Told of the server's process group, in case this worker is killed before it can end it. */
  reaper?: Reaper
}

/** How a server process ended. */
export interface Exit { code: number | null, signal: NodeJS.Signals | null }

export interface StdioTransport extends Transport {
  readonly pid: number | null
  /** Present so that the SDK takes this for a stdio transport and probes the protocol era in place. */
  readonly stderr: Readable | null
  /** How the process ended, once it has. */
  readonly exit: Exit | null
  /** Why the transport gave the server up, when it was the one to do so. */
  readonly failure: Error | null
  /** How many messages the server was given, to their last byte; one that was not cannot have been acted upon. */
  readonly messagesWritten: number
  /** Resolves when the process has ended and its last output was read; never before it was started. */
  readonly ended: Promise<void>
  /** The last lines that the server wrote beside its messages. */
  stderrLines: () => string[]
  /**
   * Ends the server and every process of its group: closes its input, waits a step, SIGTERM, waits a step, SIGKILL.
   * Resolves when the server is gone. May be called at any time, and twice.
   */
  close: () => Promise<void>
}

/** What is kept of a line on stdout that is no message (characters). */
const maxNoiseLength = 4_096

/** How long output that was written before the end may take to arrive after it (ms). */
const drainMs = 100

/**
 * A server as a child process, JSON-RPC lines on its stdin and stdout.
 *
 * Differs from the SDK's transport in what a service needs: the child leads a process group of its own, which ends as a
 * whole (a wrapper like `npx` or `sh -c` leaves nothing behind); the end is the process's `exit`, never the `close` of its
 * pipes, which a grandchild may hold open for ever; stderr is always read, so that a talkative server cannot block.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 * @see https://github.com/modelcontextprotocol/typescript-sdk/issues/2023
 */
export function createStdioTransport (spec: StdioCommand, options: StdioTransportOptions): StdioTransport {
  const tail = createStderrTail(options.onStderrLine)
  const hand = createOrderedDelivery(message => transport.onmessage?.(message))
  let child: ChildProcess | null = null
  let exit: Exit | null = null
  let failure: Error | null = null
  let messagesWritten = 0
  let exited: Promise<void> = Promise.resolve()
  let closing: Promise<void> | null = null
  let announce = (): void => {}
  const ended = new Promise<void>(resolve => { announce = resolve })

  const transport: StdioTransport = {
    get pid () { return child?.pid ?? null },
    get stderr () { return child?.stderr ?? null },
    get exit () { return exit },
    get failure () { return failure },
    get messagesWritten () { return messagesWritten },
    ended,
    stderrLines: tail.lines,

    async start () {
      if (child !== null) throw new Error('the transport was started before')
      if (closing !== null) throw new Error('the transport is closed')
      child = spawn(spec.command, spec.args, { cwd: spec.cwd, env: spec.env, stdio: 'pipe', detached: true })
      if (child.pid !== undefined) options.reaper?.add(child.pid)
      attach(child)
      await spawned(child)
    },

    async send (message) {
      const stdin = child?.stdin
      if (!stdin?.writable) throw new Error('the server does not read any more')
      corkWrites(stdin) // calls of many requests, when the server is shared
      await new Promise<void>((resolve, reject) => {
        // The callback also runs, with an error, when the pipe breaks while the write waits: a send always settles.
        stdin.write(`${JSON.stringify(message)}\n`, error => error ? reject(error) : resolve())
      })
      messagesWritten++
    },

    close () {
      closing ??= stop()
      return closing
    }
  }

  function attach (process: ChildProcess): void {
    const split = createLineSplitter(options.maxMessageBytes, line => {
      const message = parseMessage(line)
      if (message !== null) hand(message)
      // Servers print banners, and sometimes why they end, to stdout although they must not: as good as stderr.
      else tail.push(Buffer.from(`${line.slice(0, maxNoiseLength)}\n`))
    })
    process.stdout?.on('data', (chunk: Buffer) => {
      if (failure !== null) return
      try {
        split(chunk)
      } catch (error) {
        failure = error as Error
        transport.onerror?.(failure)
        transport.close().catch(() => {}) // never rejects
      }
    })
    process.stderr?.on('data', tail.push)
    for (const stream of [process.stdin, process.stdout, process.stderr]) {
      stream?.on('error', error => transport.onerror?.(error)) // EPIPE when the server ends first: the exit tells more
    }
    exited = new Promise(resolve => {
      process.once('error', error => { // could not be started: there will be no exit
        failure ??= error
        resolve()
      })
      process.once('exit', (code, signal) => {
        exit = { code, signal }
        resolve()
        announceEnd(process)
      })
    })
  }

  function announceEnd (process: ChildProcess): void {
    const drained = Promise.all([drainedOf(process.stdout), drainedOf(process.stderr)])
    Promise.race([drained, delay(drainMs, undefined, { ref: false })]).finally(() => {
      announce()
      transport.onclose?.()
    })
  }

  async function stop (): Promise<void> {
    if (child === null || child.pid === undefined) return
    child.stdin?.end()
    if (!await endsWithin(options.stopStepMs)) {
      signalGroup(child.pid, 'SIGTERM')
      await endsWithin(options.stopStepMs)
    }
    // Also when the server has ended by itself: its group may hold what it started.
    signalGroup(child.pid, 'SIGKILL')
    await exited
    options.reaper?.remove(child.pid)
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
  }

  async function endsWithin (milliseconds: number): Promise<boolean> {
    const controller = new AbortController()
    const timeout = delay(milliseconds, false, { signal: controller.signal }).catch(() => false)
    try {
      return await Promise.race([exited.then(() => true), timeout])
    } finally {
      controller.abort()
    }
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

function signalGroup (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // ESRCH: the group is gone, which is what was wanted. EPERM: what is left of it changed its user and is not ours to end.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

function parseMessage (line: string): JSONRPCMessage | null {
  try {
    const value: unknown = JSON.parse(line)
    const isMessage = typeof value === 'object' && value !== null && 'jsonrpc' in value && value.jsonrpc === '2.0'
    return isMessage ? value as JSONRPCMessage : null
  } catch {
    return null // a line of noise, see above
  }
}
