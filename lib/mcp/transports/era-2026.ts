import { type JSONRPCMessage, type JSONRPCRequest, PROTOCOL_VERSION_META_KEY } from '@modelcontextprotocol/client'

/*
 * What a message of the era of 2026 has on the wire that older ones do not.
 */

const versionOf = ({ params }: JSONRPCRequest): unknown => params?._meta?.[PROTOCOL_VERSION_META_KEY]

/** Whether a request says that it is of that era. */
export const isModern = (request: JSONRPCRequest) => versionOf(request) !== undefined

/**
 * A result that does not say what it is, is complete. The client would refuse it in the era of 2026, and the tool has acted. Of
 * the answer that tells a server's era, it is left to the client to judge.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/mrtr
 */
export function completed (message: JSONRPCMessage, request: JSONRPCRequest): JSONRPCMessage {
  if (!('result' in message) || !isModern(request) || request.method === 'server/discover') return message
  return { ...message, result: { resultType: 'complete', ...message.result } }
}

/** The parameter that Mcp-Name repeats, by method. */
const nameOf = new Map([['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri']])

/**
 * The headers in which a request of the era of 2026 repeats what its body says, for whatever routes it.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#standard-headers
 */
export function standardHeaders (message: JSONRPCMessage): Record<string, string> {
  if (!('method' in message) || !('id' in message)) return {}
  const version = versionOf(message)
  if (typeof version !== 'string') return {}
  const name = message.params?.[nameOf.get(message.method) ?? '']
  return { 'mcp-protocol-version': version, 'mcp-method': message.method, ...(typeof name === 'string' && { 'mcp-name': asHeader(name) }) }
}

/** What a header cannot carry, or would carry changed, travels in Base64, marked as such. */
const asHeader = (value: string) => /^[!-~]([ -~]*[!-~])?$/.test(value) && !value.startsWith('=?base64?') ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
