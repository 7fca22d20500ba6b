import { isJSONRPCErrorResponse, type JSONRPCMessage, type JSONRPCResponse } from '@modelcontextprotocol/client'
import { isJsonObject } from '../../json.ts'
import { StreamEndedError } from './http-transport.ts'

/** Whether a value that a server sent is a JSON-RPC message. */
const isMessage = (value: unknown): value is JSONRPCMessage => isJsonObject(value) && value.jsonrpc === '2.0'

/** The message that a text is; `null` for any other text. */
export function parseMessage (text: string): JSONRPCMessage | null {
  try {
    const value: unknown = JSON.parse(text)
    return isMessage(value) ? value : null
  } catch {
    return null // a banner of the server, or a page for people
  }
}

/**
 * The messages in a JSON text, one or a batch. Other values are passed over. Throws StreamEndedError when the text is
 * not JSON.
 */
export function parseMessages (text: string): JSONRPCMessage[] {
  const value = parse(text)
  return (Array.isArray(value) ? value : [value]).filter(isMessage)
}

/** Whether a message is an answer in the client's eyes. The client passes over a result with more fields beside it. */
export const isResponse = (message: JSONRPCMessage): message is JSONRPCResponse =>
  ('result' in message && isJsonObject(message.result) && Object.keys(message).length === 3) ||
  isJSONRPCErrorResponse(message)

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new StreamEndedError('what came is not JSON') // the parser's own sentence would quote the text
  }
}
