import { type JSONRPCMessage, type JSONRPCRequest, PROTOCOL_VERSION_META_KEY } from '@modelcontextprotocol/client'

/*
 * The parts of a message that only the era of 2026 has on the wire.
 */

const versionOf = ({ params }: JSONRPCRequest): unknown => params?._meta?.[PROTOCOL_VERSION_META_KEY]

/** Whether a request says that it is of that era. */
export const isModern = (request: JSONRPCRequest) => versionOf(request) !== undefined

/**
 * Completes a result without a type: the client would refuse it, and the tool has acted. The answer that reveals a
 * server's era stays as it is, for the client to judge.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/mrtr
 */
export function completed (message: JSONRPCMessage, request: JSONRPCRequest): JSONRPCMessage {
  if (!('result' in message) || !isModern(request) || request.method === 'server/discover') return message
  return { ...message, result: { resultType: 'complete', ...message.result } }
}

/** The parameter that Mcp-Name repeats, by method. */
const nameOf = new Map([['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri']])

/**
 * The headers in which a request of the era of 2026 repeats parts of its body, for routers on its way.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#standard-headers
 */
export function standardHeaders (message: JSONRPCMessage): Record<string, string> {
  if (!('method' in message) || !('id' in message)) return {}
  const version = versionOf(message)
  if (typeof version !== 'string') return {}
  const name = message.params?.[nameOf.get(message.method) ?? '']
  return {
    'mcp-protocol-version': version,
    'mcp-method': message.method,
    ...(typeof name === 'string' && { 'mcp-name': asHeader(name) })
  }
}

/** A text as a header's value. One that a header cannot carry, or would change, travels in Base64, marked as such. */
function asHeader (text: string): string {
  const isSafe = /^[!-~]([ -~]*[!-~])?$/.test(text) && !text.startsWith('=?base64?')
  return isSafe ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`
}
