/* A call of `echo` as one bare POST, which is the least that a call of a server over HTTP takes. */
import { Agent, request } from 'undici'

export const echo = { text: 'hello' }

/** Connections to all that is called. Whoever is done with it destroys it. */
export const agent = new Agent()

/** One bare POST of a call, to a server over HTTP: of the 2025 era on a session that is open. */
export async function barePost (url, era) {
  const send = poster(url, headersOf(era))
  if (era === 2026) return () => send(messageOf(era))
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bare', version: '1.0.0' } }
  const { headers } = await request(url, {
    method: 'POST',
    dispatcher: agent,
    headers: headersOf(era),
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
  })
  const session = headers['mcp-session-id'] === undefined ? {} : { 'mcp-session-id': headers['mcp-session-id'] }
  const inSession = { ...headersOf(era), 'mcp-protocol-version': '2025-11-25', ...session }
  await poster(url, inSession, 202)(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  const call = poster(url, inSession)
  return () => call(messageOf(era))
}

export function poster (url, headers, wanted = 200) {
  return async body => {
    const response = await request(url, { method: 'POST', dispatcher: agent, headers, body })
    const text = await response.body.text()
    if (response.statusCode !== wanted || (wanted === 200 && !text.includes('hello'))) {
      throw new Error(`${url} answered ${response.statusCode}: ${text.slice(0, 500)}`)
    }
    return text
  }
}

export function headersOf (era) {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(era === 2026 && { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' })
  }
}

export function messageOf (era) {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'bare', version: '1.0.0' }
  }
  const params = { name: 'echo', arguments: echo, ...(era === 2026 && { _meta: meta }) }
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
}
