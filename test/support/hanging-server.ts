import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { type HttpRequest, serve } from './http-server.ts'

export interface Hanging {
  era?: '2025' | '2026'
  /** Answers a request in a way of its own, or never. Returns false for one that is answered as a good server does. */
  hangs: (request: HttpRequest, response: ServerResponse) => boolean
  /** Of the handshake: the session that it begins. */
  session?: string
}

/** Something that is answered only when the test lets it. */
export const never = () => true

/** A server over HTTP with a tool, a prompt and a resource, that hangs where the test says. */
export async function startHangingServer (t: Test, { era = '2025', hangs, session }: Hanging) {
  const held: Array<{ request: HttpRequest, response: ServerResponse }> = []
  const state = { isOpen: false }

  function answer ({ http, message: { id, method = '', params = {} } }: HttpRequest, response: ServerResponse) {
    if (http === 'DELETE') return response.writeHead(204).end()
    if (http !== 'POST') return response.writeHead(405).end()
    if (id === undefined) return response.writeHead(202).end()
    const result = resultOf(method, params, era)
    const outcome = result === undefined ? { error: { code: -32_601, message: 'Method not found' } } : { result }
    const headers = method === 'initialize' && session !== undefined ? { 'mcp-session-id': session } : {}
    response.writeHead(200, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }))
  }

  const server = await serve(t, (request, response) => {
    if (state.isOpen || !hangs(request, response)) answer(request, response)
    else held.push({ request, response })
  })
  return {
    ...server,
    /** Requests that it was sent and has not answered. */
    held,
    /** Answers what it holds, and all that comes from now on. */
    open () {
      state.isOpen = true
      for (const { request, response } of held.splice(0)) answer(request, response)
    }
  }
}

function resultOf (method: string, params: Record<string, unknown>, era: string): object | undefined {
  const peer = {
    serverInfo: { name: 'hanging', version: '1.0.0' },
    capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} }
  }
  const results: Record<string, object> = {
    ...(era === '2026'
      ? { 'server/discover': { supportedVersions: ['2026-07-28'], ...peer } }
      : { initialize: { protocolVersion: params.protocolVersion, ...peer } }),
    'tools/list': { tools: [{ name: 'act', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: '{"status":"success"}' }] },
    'prompts/list': { prompts: [{ name: 'greet' }] },
    'prompts/get': { messages: [] },
    'resources/list': { resources: [{ uri: 'memo:one', name: 'one' }] },
    'resources/templates/list': { resourceTemplates: [] },
    'resources/read': { contents: [{ uri: 'memo:one', text: 'one' }] },
    'completion/complete': { completion: { values: [] } }
  }
  return results[method]
}
