import type { Cancellation, CancelSignal } from '../cancellation.ts'
import type { JsonObject } from '../json.ts'
import type { Instructions } from './client/server-bounds.ts'
import type { ServerClient } from './client/server-client.ts'
import type { ServerSpec } from './servers-file/server-spec.ts'
import type { ResumableSession } from './transports/http-transport.ts'

/**
 * What a server is needed for. It decides whose turn is next where servers wait for their start: calls come first, then
 * lists, which no number of calls keeps waiting for ever. `background` is what nobody waits for: it gives way to every
 * request, and goes before warm spares.
 */
export type Priority = 'call' | 'list' | 'background'

/** How a request waits for its turn at a server. */
export interface Patience {
  priority: Priority
  /** Longest wait (ms); Infinity for as long as it takes. */
  waitMs: number
}

/** The request that uses a server. */
export interface User extends Patience {
  /** Secret. The session's credentials; none where there is no session. */
  credentials: JsonObject
  /** Keeps the server's session for our session; `null` where there is no session of ours to keep it for. */
  slot: UpstreamSlot | null
  /** Somebody follows what happens while a tool runs: every message of the server must be about this request. */
  isWatched: boolean
  /** Gets each line that a process of this request writes to stderr, secrets masked. */
  onStderrLine?: (line: string) => void
  /** Gets what goes wrong for this request without its failing. */
  onTrouble?: (error: unknown, message: string) => void
}

/** One request's use of a server. */
export interface Lease {
  /** An open client. May be called again; it is the same one. */
  open: () => Promise<ServerClient>
  /**
   * Another request waits for what this lease is opened for, until its signal aborts. While the server waits for its
   * turn, it now waits as the more urgent and the more patient of them.
   */
  join?: (patience: Patience, signal: CancelSignal) => void
  /** Ends whatever was opened for this request, also while it opens. Resolves when it is gone. Never rejects. */
  release: () => Promise<void>
}

/** One entry of the servers file, as this worker reaches it. */
export interface Server {
  readonly spec: ServerSpec
  /**
   * The server for one request, which no longer waits for it once `leaving` aborts. Starts nothing before it is opened.
   * Throws MissingCredentialError.
   */
  lease: (user: User, leaving: Pick<Cancellation, 'signal'>) => Lease
  /** The server's own sessions, where it begins one for each of ours that uses it. They are kept with ours. */
  readonly sessions?: {
    /** False once a handshake has shown that it begins none. */
    mayBegin: () => boolean
    /**
     * Ends a session at the server. Never rejects: a server that cannot be reached ends it when it has been idle for
     * long enough.
     */
    end: (session: UpstreamSession, credentials: JsonObject) => Promise<void>
  }
  /** Processes that are started ahead of demand, where there may be some. */
  readonly spares?: {
    /** How many are ready. */
    readonly ready: number
    /** Starts the missing ones. Otherwise that happens when requests end. */
    refill: () => void
  }
  /** Ends whatever no single request owns. May be called twice. */
  close: () => Promise<void>
}

/**
 * The session of an MCP server that belongs to one of ours, with the server's instructions when it began. Secret: its
 * id is all that it takes to use it.
 */
export interface UpstreamSession extends ResumableSession, Instructions {
  /** A hash of the address and headers that it was begun with, credentials included. It is not used with others. */
  endpoint: string
  /** Names of the capabilities that it declared then. */
  capabilities?: readonly string[]
}

/** Keeps one of our sessions' session at one server. */
export interface UpstreamSlot {
  read: () => Promise<UpstreamSession | null>
  /**
   * Replaces the session that was read, unless another request has replaced it meanwhile. Returns the session that is
   * kept then; `null` when none is, since ours has ended.
   */
  replace: (session: UpstreamSession) => Promise<UpstreamSession | null>
  /** Removes a session, unless another request has replaced it meanwhile. */
  remove: (session: UpstreamSession) => Promise<void>
}
