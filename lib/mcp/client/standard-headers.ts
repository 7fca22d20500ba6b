import type { RequestHeaders } from '../transports/text-transport.ts'
import { modernVersion } from './protocol.ts'

/** The parameter that Mcp-Name repeats, by method. */
const namedBy = new Map([
  ['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri'],
  ['tasks/get', 'taskId'], ['tasks/update', 'taskId'], ['tasks/cancel', 'taskId'], ['tasks/result', 'taskId']
])

/**
 * The headers in which a request of the era of 2026 repeats parts of its body, for routers on its way, and `others`.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#standard-headers
 */
export function standardHeaders (
  method: string, members: ReadonlyArray<readonly [name: string, text: string]>, others: RequestHeaders = new Map()
): RequestHeaders {
  const headers = new Map([['mcp-protocol-version', modernVersion], ['mcp-method', method]])
  const text = members.find(([name]) => name === namedBy.get(method))?.[1]
  if (text !== undefined) headers.set('mcp-name', headerValue(String(JSON.parse(text))))
  for (const [name, value] of others) headers.set(name, value)
  return headers
}

/** A text as a header's value. One that a header cannot carry, or would change, travels in Base64, marked as such. */
export function headerValue (text: string): string {
  const isSafe = /^[!-~]([ -~]*[!-~])?$/.test(text) && !text.startsWith('=?base64?')
  return isSafe ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`
}
