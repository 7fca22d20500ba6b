import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import type { Cancellation, CancelSignal } from '../../cancellation.ts'

/**
 * A request's headers, by name. A map, since each request puts its own together: an object that is made of another one
 * and of further names has a new shape each time, and the collector finds those only when it looks through the whole
 * heap.
 */
export type RequestHeaders = ReadonlyMap<string, string>

/** A message that is text already: what passes through is neither parsed nor written again on its way. */
export interface MessageText {
  readonly text: string
  /** The id of a request; absent in a notification and in a response. */
  readonly id?: number
  /** Absent in a response. */
  readonly method?: string
  /** Headers that repeat parts of the message, for transports that have headers. */
  readonly headers?: RequestHeaders | undefined
  /** Values that nobody on the way may read in it. */
  readonly secrets?: readonly unknown[] | undefined
}

export interface SendOptions {
  /** Aborts when nobody waits for the answer to this request any more. The SDK's client gives it. */
  requestSignal?: CancelSignal
  /** Aborts then, too, and is aborted by the transport where it ends the exchange. Ours gives it. */
  exchange?: Cancellation
}

/**
 * A transport that sends and receives text. It fits the SDK's `Transport`, too: without `ontext` it delivers parsed
 * messages to `onmessage`.
 */
export interface TextTransport extends Omit<Transport, 'send'> {
  /**
   * Sends a message whole. Over HTTP it settles when the exchange is over, or when its answer has arrived.
   *
   * Rejects with NotSentError when the server cannot have read the message to its end.
   */
  send: (message: MessageText | JSONRPCMessage, options?: SendOptions) => Promise<void>
  /** Gets each text before anything is parsed. `exchange` is the id of the request whose HTTP exchange brought it. */
  ontext?: (text: string, exchange?: number) => Received
  /** Why the transport gave the server up, when it did. */
  readonly failure?: Error | null
  /**
   * Whether a failed `send` may mean that the server does not know the request's method. Absent where a server has no
   * other way to say so than an answer.
   */
  refusesMethod?: (error: unknown) => boolean
}

/** A text is noise, a message, or one that has the answer to a request: that of its HTTP exchange, where it has one. */
export type Received = 'noise' | 'message' | 'answer'

/** The message was not sent, or not to its end, so the server cannot have acted on it. The reason is the cause. */
export class NotSentError extends Error {
  override name = 'NotSentError'

  constructor (cause: unknown) {
    super('the request was not sent', { cause })
  }
}

export function asText (message: MessageText | JSONRPCMessage): MessageText {
  if ('text' in message && typeof message.text === 'string') return message as MessageText
  const { id, method } = message as { id?: number, method?: string }
  return { text: JSON.stringify(message), ...(id !== undefined && { id }), ...(method !== undefined && { method }) }
}

/** Delivers what a server sent to the client of a transport. */
export function deliver (transport: TextTransport, text: string, exchange?: number): Received {
  if (transport.ontext !== undefined) return transport.ontext(text, exchange)
  const messages = parseMessages(text)
  for (const message of messages) transport.onmessage?.(message)
  if (messages.length === 0) return 'noise'
  return messages.some(message => !('method' in message) && message.id === exchange) ? 'answer' : 'message'
}

/** The messages in a text for a client of the SDK, which takes only valid ones. */
function parseMessages (text: string): JSONRPCMessage[] {
  try {
    const value: unknown = JSON.parse(text)
    return (Array.isArray(value) ? value : [value]).filter(isMessage)
  } catch {
    return []
  }
}

const isMessage = (value: unknown): value is JSONRPCMessage =>
  typeof value === 'object' && value !== null && 'jsonrpc' in value && value.jsonrpc === '2.0'
