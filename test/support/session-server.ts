import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { type HttpRequest, serve } from './http-server.ts'

export interface Refusal { status: number, headers?: Record<string, string>, body: string }

/** The text of a refusal, with `$ID` for the request's id. */
const fill = (body: string, { message }: HttpRequest) => body.replaceAll('$ID', String(message.id))

export function answerWith (request: HttpRequest, response: ServerResponse, { status, headers, body }: Refusal): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(fill(body, request))
}

/**
 * A server of 2025 over HTTP whose sessions the test can see and end. Its tool `count` counts the calls of a session.
 * Each refusal is for one request; without one it behaves.
 */
export async function startSessionServer (t: Test, unknownSession: Refusal = { status: 404, body: 'Not found' }) {
  const sessions = new Map<string, number>()
  const state = {
    unknownSession,
    /** Answers tool calls and reads of resources from now on; `null` for good answers. */
    refusal: null as Refusal | null,
    calls: 0,
    initialized: 0,
    ended: [] as string[]
  }

  const server = await serve(t, (request, response) => {
    const { message: { id, method, params = {} }, headers, http } = request
    const session = String(headers['mcp-session-id'] ?? '')
    if (http === 'DELETE') {
      state.ended.push(session)
      return response.writeHead(sessions.delete(session) ? 204 : 404).end()
    }
    const reply = (result: unknown) => answerWith(request, response, {
      status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, result })
    })
    if (method === 'server/discover') {
      const error = { code: -32_601, message: 'Method not found' }
      return answerWith(request, response, { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, error }) })
    }
    if (method === 'initialize') {
      state.initialized++
      const begun = randomUUID()
      sessions.set(begun, 0)
      response.setHeader('mcp-session-id', begun)
      const { protocolVersion } = params
      return reply({ protocolVersion, capabilities: { tools: {}, resources: {} }, serverInfo: { name: 's', version: '1' } })
    }
    if (method === 'tools/call') state.calls++
    const count = sessions.get(session)
    if (count === undefined) return answerWith(request, response, state.unknownSession)
    if (id === undefined) return response.writeHead(202).end()
    if (method === 'tools/list') return reply({ tools: [{ name: 'count', inputSchema: { type: 'object' } }] })
    if (method === 'resources/list') return reply({ resources: [{ uri: 'a://b', name: 'b' }] })
    if (state.refusal !== null) return answerWith(request, response, state.refusal)
    sessions.set(session, count + 1)
    reply({ content: [{ type: 'text', text: JSON.stringify({ n: count + 1 }) }] })
  })
  return { ...server, sessions, state }
}
