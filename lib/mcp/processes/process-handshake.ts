import { abortable, type CancelSignal } from '../../cancellation.ts'
import type { ProtocolClient } from '../client/protocol-client.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import { ProbeEndedError, RpcError } from '../client/protocol-errors.ts'
import type { StdioTransport } from '../transports/stdio.ts'
import { awaitExit } from './process-errors.ts'

/** A process, and the client that speaks to it. */
export interface ProcessConnection { transport: StdioTransport, client: ProtocolClient }

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
  current: () => ProcessConnection
  /** Starts the server and shakes hands. Rejects with the error of the client or the transport. */
  open: (signal: CancelSignal) => Promise<void>
  /** Ends the server, also while it starts. Never rejects; may be called twice. */
  close: () => Promise<void>
}

/** The share of its start that a server may be silent at the probe, before it is taken for one of the older eras. */
const probeShare = 1 / 3

/**
 * Probes a server's era in the handshake itself, which costs a process nothing: a modern server answers the probe in
 * place of the handshake. Some servers end at an unknown request. Those are started a second time, without the probe,
 * and only their era is remembered.
 */
export function createProcessHandshake (options: ProcessHandshakeOptions): ProcessHandshake {
  const { startTimeoutMs, era: memory, create } = options
  let current = create()
  let isClosed = false

  async function shakeHands (era: Era | null, deadline: number, signal: CancelSignal): Promise<void> {
    const { client, transport } = current
    const timeoutMs = Math.max(1, deadline - performance.now())
    try {
      const connecting = client.connect({
        // Only `legacy` skips the probe: a modern server is ready when it has answered it.
        era: era?.kind === 'legacy' ? era : null,
        timeoutMs,
        probeTimeoutMs: Math.min(timeoutMs, startTimeoutMs * probeShare),
        signal
      })
      const peer = await abortable(connecting, signal)
      if (peer.era.kind === 'legacy') await memory?.remember(peer.era)
    } catch (error) {
      await awaitExit(transport, error)
      throw error
    }
  }

  /** The era to try with a second process; `null` to probe it, `undefined` when a second process would fail, too. */
  function otherEra (known: Era | null, error: unknown): Era | null | undefined {
    const endedAtProbe = error instanceof ProbeEndedError && current.transport.exit !== null
    if (known === null && endedAtProbe) return { kind: 'legacy' }
    const refusedHandshake = known !== null && error instanceof RpcError
    return refusedHandshake ? null : undefined
  }

  return {
    current: () => current,

    async open (signal) {
      const deadline = performance.now() + startTimeoutMs
      const known = await memory?.recall() ?? null
      try {
        await shakeHands(known, deadline, signal)
      } catch (error) {
        const era = otherEra(known, error)
        if (era === undefined || isClosed || signal.aborted) throw error
        if (known !== null) await memory?.forget()
        await current.client.close()
        if (isClosed) throw new Error('it was closed')
        current = create()
        await shakeHands(era, deadline, signal)
      }
    },

    async close () {
      isClosed = true
      await current.client.close()
    }
  }
}
