import type { Dispatcher } from 'undici'
import type { CancelSignal } from '../../cancellation.ts'
import type { IntakeBounds } from './bounds.ts'
import type { Cookie } from './cookie-jar.ts'
import type { TextTransport } from './text-transport.ts'

/** Where a request goes. Holds secrets, in the url, too: never log it, log `name`. */
export interface HttpEndpoint {
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Its secret values, of the operator and of the session: no sentence and no log line may hold one. */
  readonly secrets: readonly string[]
}

/** A session that a server of the eras before 2026-07-28 began, as another transport can go on with it. */
export interface ResumableSession {
  sessionId: string
  /** Empty where the server named no version. */
  protocolVersion: string
  /** The server's cookies, which lead to the place that has the session. */
  cookies?: readonly Cookie[]
}

export interface HttpTransportOptions {
  dispatcher: Dispatcher
  /** Longest message that the server may send, decoded (bytes). */
  maxMessageBytes: number
  bounds?: IntakeBounds | undefined
  /** Goes on with this session instead of beginning one. */
  resume?: ResumableSession
  /** Whether the server's cookies are kept: never where several users share the transport. */
  keepsCookies: boolean
}

export interface HttpTransport extends TextTransport {
  /** The session that the server began; `null` while there is none. */
  session?: () => ResumableSession | null
  /** The server refused a request with a status, 500 among them, and with words that may be about the session. */
  readonly isSessionInDoubt?: boolean
  /**
   * The server refused the first message as servers of the transport before streamable HTTP do, and has not said
   * anything that only one of streamable HTTP would.
   */
  readonly mayBeOlder?: boolean
  /**
   * Ends the server's session, if the server began one. Rejects when the server cannot be reached; a server may
   * refuse it (405).
   */
  endSession?: (signal: CancelSignal) => Promise<void>
}

/** The answer cannot come any more: its stream ended or broke off, or the server sent something else. */
export class StreamEndedError extends Error {
  override name = 'StreamEndedError'
}
