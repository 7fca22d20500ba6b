import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { valueOf } from '../../lib/json-text.ts'
import type { ToolAnswer } from '../../lib/mcp/client/server-client.ts'
import { apiUrl, jwtToken } from './credentials.ts'

/** Opens a session and gives its id. */
export async function initSession (service: FastifyInstance, fields: Record<string, unknown> = {}): Promise<string> {
  const id = randomUUID()
  const response = await service.inject({
    method: 'POST',
    url: '/init',
    payload: { session_id: id, apiUrl, jwtToken, ...fields }
  })
  if (response.statusCode !== 200) throw new Error(`/init answered ${response.statusCode}: ${response.body}`)
  return id
}

export function call (service: FastifyInstance, session: string, tool: string, params: unknown = {}) {
  return service.inject({
    method: 'POST',
    url: '/call-tool',
    payload: { session_id: session, tool, params } as object
  })
}

export const postTo = (service: FastifyInstance, url: string, payload: object) =>
  service.inject({ method: 'POST', url, payload })

/** Every answer of these is 200; the bodies, in their order. */
export async function bodiesOf<Body> (
  responses: Array<Promise<{ statusCode: number; body: string; json: () => Body }>>
): Promise<Body[]> {
  return (await Promise.all(responses)).map(response => {
    if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}: ${response.body}`)
    return response.json()
  })
}

export interface Answer {
  status: number
  body: unknown
  headers: Headers
}

/** POSTs JSON over a real socket. */
export async function post (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body)
  })
  return { status: response.status, body: await response.json(), headers: response.headers }
}

/** Opens a session at a service that listens, and gives its id. */
export async function openSession ({ url }: { url: string }): Promise<string> {
  const id = randomUUID()
  const { status, body } = await post(`${url}/init`, { session_id: id, apiUrl, jwtToken })
  if (status !== 200) throw new Error(`/init answered ${status}: ${JSON.stringify(body)}`)
  return id
}

/** Calls a tool at a service that listens. */
export function callAt (
  { url }: { url: string },
  session: string,
  tool: string,
  params: unknown = {}
): Promise<Answer> {
  return post(`${url}/call-tool`, { session_id: session, tool, params })
}

/** The text of a tool's answer that is one. */
export function textOf (answer: ToolAnswer): string {
  const result = 'result' in answer ? valueOf(answer.result.document, answer.result.node) : answer
  const { content: [block] = [] } = result as { content?: Array<{ text?: unknown }> }
  if (typeof block?.text !== 'string') throw new Error(`the tool answered ${JSON.stringify(result)}`)
  return block.text
}

/** The body of a failure. */
export const failure = (
  code: string, error: string, { retryable = false, ...more }: { retryable?: boolean, acted?: 'no' | 'unknown' } = {}
) => ({ status: 'error', error, code: `MCPC_ERR_${code}`, retryable, ...more })

/** The body of a failure of /call-tool, which also says whether the tool can have acted. */
export const callFailure = (
  code: string, error: string, options: { acted?: 'no' | 'unknown', retryable?: boolean } = {}
) => failure(code, error, { acted: 'no', ...options })

/** The body of a failure that other paths have, too. */
export const failureAt = (path: string, code: string, error: string, options: { retryable?: boolean } = {}) =>
  path === '/call-tool' ? callFailure(code, error, options) : failure(code, error, options)
