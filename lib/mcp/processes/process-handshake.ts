import { type Client, ProtocolError, SdkError, SdkErrorCode } from '@modelcontextprotocol/client'
import { abortable } from '../../cancellation.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import type { StdioTransport } from '../transports/stdio.ts'
import { awaitExit } from './process-errors.ts'

/** A process, and the client that speaks to it. */
export interface ProcessConnection { transport: StdioTransport, client: Client }

export interface ProcessHandshakeOptions {
  /** How long the server may take from its start to its handshake (ms). */
  startTimeoutMs: number
  /** Remembers the server's era; left out, each process is probed. */
  era: EraMemory | undefined
  /** A process that was not started, and its client. */
  create: () => ProcessConnection
}

export interface ProcessHandshake {
  /** The process of now. A server may take two: see {@link createProcessHandshake}. */
  readonly current: ProcessConnection
  /** Starts the server and shakes hands. Rejects with the error of the client or the transport. */
  open: (signal: AbortSignal) => Promise<void>
  /** Ends the server, also while it starts. Never rejects; may be called twice. */
  close: () => Promise<void>
}

/**
 * Probes a server's era in the handshake itself, which costs a process nothing: a modern server answers the probe in
 * place of the handshake. Some servers end at an unknown request. Those are started a second time, without the probe,
 * and only their era is remembered.
 */
export function createProcessHandshake (options: ProcessHandshakeOptions): ProcessHandshake {
  const { startTimeoutMs, era: memory, create } = options
  let current = create()
  let isClosed = false

  async function shakeHands (era: Era | null, deadline: number, signal: AbortSignal): Promise<void> {
    const { client, transport } = current
    const timeout = Math.max(1, deadline - performance.now())
    // Only `legacy` skips the probe: a modern server is ready when it has answered it.
    const prior = era?.kind === 'legacy' ? { prior: era } : {}
    try {
      await abortable(client.connect(transport, { timeout, signal, ...prior }), signal)
    } catch (error) {
      await awaitExit(transport, error)
      throw error
    }
    if (client.getProtocolEra() === 'legacy') await memory?.remember({ kind: 'legacy' })
  }

  /** The era to try with a second process; `null` to probe it, `undefined` when a second process would fail, too. */
  function otherEra (known: Era | null, error: unknown): Era | null | undefined {
    const isNegotiation = error instanceof SdkError && error.code === SdkErrorCode.EraNegotiationFailed
    const endedAtProbe = known === null && current.transport.exit !== null && isNegotiation
    if (endedAtProbe) return { kind: 'legacy' }
    const refusedHandshake = known !== null && error instanceof ProtocolError
    return refusedHandshake ? null : undefined
  }

  return {
    get current () { return current },

    async open (signal) {
      const deadline = performance.now() + startTimeoutMs
      const known = await memory?.recall() ?? null
      try {
        await shakeHands(known, deadline, signal)
      } catch (error) {
        const era = otherEra(known, error)
        if (era === undefined || isClosed || signal.aborted) throw error
        if (known !== null) await memory?.forget()
        await current.transport.close()
        if (isClosed) throw new Error('it was closed')
        current = create()
        await shakeHands(era, deadline, signal)
      }
    },

    async close () {
      isClosed = true
      // The transport, not the client: a client whose server ended by itself no longer has its transport.
      await current.transport.close()
    }
  }
}
