import type { CancelSignal } from '../cancellation.ts'
import type { RequestLimits, ServerClient } from '../mcp/client/server-client.ts'
import type { Patience } from '../mcp/server.ts'
import type { Asker } from './audience.ts'

/** The request that needs a list. */
export interface ListReader extends Asker {
  limits: RequestLimits
  patience: Patience
  /** Another request waits for what `withClient` was called for; see Lease. */
  join: (patience: Patience, signal: CancelSignal) => void
  /**
   * Does `work` with the request's client of the server. The client stays open until the work is done or `signal`
   * aborts, even when the request is over before: other requests may wait for the same list.
   */
  withClient: <Value>(signal: CancelSignal, work: (client: ServerClient) => Promise<Value>) => Promise<Value>
}
