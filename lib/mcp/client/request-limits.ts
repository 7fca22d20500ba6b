import type { CancelSignal } from '../../cancellation.ts'

/** What bounds a request of ours to a server. */
export interface RequestLimits {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** How long a tool may be silent (ms): each progress notification starts it anew. Absent for as long as it takes. */
  inactivityMs?: number
  /** Aborts when nobody waits for the answer any more; the server gets a cancellation. */
  signal: CancelSignal
  /** Values that an error's sentence must not hold, beside those that the client knows. */
  secrets?: readonly unknown[]
  /** Called when the server is connected and the list is requested: the caller's own deadline starts then. */
  onSent?: () => void
  /**
   * The caller's trace context: header values by name. A span that is active takes its place. The server gets them as
   * headers, where it has some, and in `_meta`.
   * @see https://www.w3.org/TR/trace-context/
   */
  trace?: Readonly<Record<string, string>>
}
