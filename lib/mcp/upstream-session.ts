import type { ResumableSession } from './http-transport.ts'

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
