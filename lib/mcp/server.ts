import type { ResumableSession } from './transports/http-transport.ts'
import type { JsonObject } from '../json.ts'
import type { ServerClient } from './client/server-client.ts'
import type { ServerSpec } from './servers-file/server-spec.ts'

/** The request that uses a server. */
export interface User {
  /** Secret. The session's credentials; none where there is no session. */
  credentials: JsonObject
  /** Where the session keeps its own session at the server; `null` where there is none to keep it in. */
  slot: UpstreamSlot | null
  /** Somebody follows what happens while a tool runs: all that the server says must be about this request. */
  isWatched: boolean
  /** Gets each line that a process of this request writes to stderr, secrets masked. */
  onStderrLine?: (line: string) => void
}

/** What a request holds of a server. */
export interface Lease {
  /** A manager that is open. May be called again; it is the same. */
  open: () => Promise<ServerClient>
  /** Ends what was opened for this request, also while it opens. Resolves when it is gone. Never rejects. */
  release: () => Promise<void>
}

/** One entry of the servers file, as this worker reaches it. */
export interface Server {
  readonly spec: ServerSpec
  /** How many warm spares are ready. */
  readonly sparesReady: number
  /** The server for one request. Nothing is started before it is opened. Throws MissingCredentialError. */
  lease: (user: User, signal: AbortSignal) => Lease
  /** Whether it begins a session for each of ours that uses it, which is kept with ours. */
  readonly keepsSessions: boolean
  /** Tells the server that a session of it is over. Never rejects: then it ends there when it has been idle long enough. */
  endSession: (session: UpstreamSession, credentials: JsonObject) => Promise<void>
  /** Starts spares where some are missing; otherwise that happens when requests end. */
  refill: () => void
  close: () => Promise<void>
}

/** The session of an MCP server that belongs to one of ours. Secret: whoever knows its id can use it. */
export interface UpstreamSession extends ResumableSession {
  /** Names the address and the headers, credentials included, that it was begun with. With others it is not used. */
  endpoint: string
  /** What the server said of its own use when the session began. */
  instructions?: string
}

/** Where one of our sessions keeps its session at one server. */
export interface UpstreamSlot {
  read: () => Promise<UpstreamSession | null>
  /**
   * Puts a session in the place of what was read, unless another request has put one there meanwhile. Gives the one that is kept
   * then; `null` when none is, since ours has ended.
   */
  replace: (session: UpstreamSession) => Promise<UpstreamSession | null>
}
