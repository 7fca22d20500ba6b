import type { Peer } from './handshake.ts'
import type { ProtocolClient } from './protocol-client.ts'
import type { RequestLimits } from './request-limits.ts'
import type { Instructions, ServerBounds } from './server-bounds.ts'

export interface RequestDescription {
  /** For the sentence of a failure: `tool search`, `the list of tools`. */
  what: string
  /**
   * Creates the error for a refusal, from the server's own sentence. Without it, a refusal is a failure like any
   * other.
   */
  refused?: (sentence: string) => Error
  /** An error that answers the request may be the failure of what was requested, and then is a ToolFailedError. */
  mayFail?: boolean
}

/** How a server client reaches its server. */
export interface ServerConnection {
  readonly serverName: string
  /** Whether the protocol client is this request's alone, so that all that it receives is for this request. */
  readonly isOwn: boolean
  /** See ServerClient. */
  usedSession: () => boolean
  /** The server is still there when a request to it has failed: it may answer the next one. */
  readonly reconnects: boolean
  /** Whether a task of the server can be asked for by any worker, also when this connection is gone. */
  keepsTasks: () => boolean
  /** What the connection is kept open for, for a moment, when its request is over. */
  linger: (work: Promise<void>) => void
  readonly bounds: ServerBounds
  /** Called when the server's lists are not what was remembered. */
  onListChanged: () => void
  /** See ServerClient. */
  peer: () => Peer | null
  instructions: (limits: RequestLimits) => Promise<Instructions>
  /** Makes a request with a client that is connected, and translates its failure. */
  request: <Value>(
    description: RequestDescription, limits: RequestLimits, work: (client: ProtocolClient) => Promise<Value>
  ) => Promise<Value>
}
