import { type Client, type RequestOptions, SdkError, SdkErrorCode } from '@modelcontextprotocol/client'
import {
  type RequestDescription, createServerClient, type RequestLimits, type ServerClient, type ServerConnection
} from '../client/server-client.ts'
import { createHttpErrors, type HttpErrorsOptions } from './http-errors.ts'
import { type Connection, createHandshake, type HandshakeOptions, isRefusal } from './http-handshake.ts'

export interface HttpClientOptions extends HandshakeOptions, HttpErrorsOptions {
  onListChanged: () => void
}

export interface HttpClient extends ServerClient {
  /** Ends the connections of this request, and at the server its sessions. Never rejects; may be called twice. */
  close: () => Promise<void>
}

type Send<Value> = (client: Client, options: RequestOptions) => Promise<Value>
/** The answer to a request, or the error of a server that refused it unread. */
type Outcome<Value> = { value: Value } | { refusal: unknown }

/**
 * An MCP server over HTTP, for one request.
 *
 * The era that the server speaks is remembered, and in the older eras its session. A server that no longer knows what
 * was remembered refuses a request unread. That request is sent again, once, over a new connection.
 */
export function createHttpClient (options: HttpClientOptions): HttpClient {
  const { serverName, era: memory, shared, onListChanged } = options
  const handshake = createHandshake(options)
  const { startError, callError } = createHttpErrors(options)
  let current: Promise<Connection> | null = null
  let isClosed = false

  async function connected (limits: RequestLimits): Promise<Connection> {
    current ??= handshake.connect(limits.signal)
    return await opened(current, limits)
  }

  async function reconnected (refused: Connection, limits: RequestLimits): Promise<Connection> {
    current = handshake.reconnect(refused, limits.signal)
    return await opened(current, limits)
  }

  async function opened (opening: Promise<Connection>, limits: RequestLimits): Promise<Connection> {
    try {
      return await opening
    } catch (error) {
      throw startError(error, limits)
    }
  }

  const connection: ServerConnection = {
    serverName,
    isOwn: shared === null,
    onListChanged,

    async instructions (limits) {
      const { client, resumed } = await connected(limits)
      const known = client.getInstructions() ?? resumed?.instructions
      if (known !== undefined || client.getProtocolEra() !== 'modern') return known
      const description = { what: 'the request for its instructions' }
      return await connection.request(description, limits, async (client, options) => {
        return (await client.discover(options)).instructions
      })
    },

    async request<Value> (description: RequestDescription, limits: RequestLimits, send: Send<Value>) {
      const options = { timeout: limits.timeoutMs, maxTotalTimeout: limits.timeoutMs, signal: limits.signal }

      async function attempt (connection: Connection): Promise<Outcome<Value>> {
        try {
          return { value: await send(connection.client, options) }
        } catch (error) {
          if (!limits.signal.aborted && reliesOnMemory(connection)) {
            // The server acted, and answered as one of another era does.
            if (error instanceof SdkError && error.code === SdkErrorCode.InvalidResult) await memory.forget()
            if (isRefusal(error)) return { refusal: error }
          }
          throw callError(error, description, limits)
        }
      }

      const connection = await connected(limits)
      let outcome = await attempt(connection)
      if ('refusal' in outcome) outcome = await attempt(await reconnected(connection, limits))
      if ('refusal' in outcome) throw callError(outcome.refusal, description, limits)
      return outcome.value
    }
  }

  return {
    ...createServerClient(connection),
    async close () {
      if (isClosed) return
      isClosed = true
      await current?.catch(() => {}) // the request that connected has this error already
      await handshake.close()
    }
  }
}

/** Whether a connection goes by a session or an era that was remembered. */
const reliesOnMemory = ({ resumed, era }: Connection) => resumed !== null || era?.kind === 'modern'
