import type { Test } from 'tap'
import { type HttpRequest, serve } from './http-server.ts'

/** Thrown by an answer: an error of JSON-RPC. */
export class Refused extends Error {
  readonly error: { code: number, message: string, data?: unknown }

  constructor (code: number, message: string, data?: unknown) {
    super(message)
    this.error = { code, message, ...(data !== undefined && { data }) }
  }
}

type Params = Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any -- whatever a test sends

export interface Answering {
  /** Results by method. `notify` sends notifications before the result, on a stream of events. */
  answers: Record<string, (params: Params, request: HttpRequest, notify: Notify) => unknown>
  /** Of the handshake; tools, resources and prompts when it is left out. */
  capabilities?: object
  era?: '2025' | '2026'
}

type Notify = (method: string, params: object) => void

/** A server over HTTP, without sessions, that answers as the test says. */
export async function startAnsweringServer (t: Test, { answers, capabilities, era = '2025' }: Answering) {
  const declared = { capabilities: capabilities ?? { tools: {}, resources: {}, prompts: {}, completions: {} } }
  const serverInfo = { name: 'answering', version: '1.0.0' }
  const own: Answering['answers'] = era === '2026'
    ? { 'server/discover': () => ({ supportedVersions: ['2026-07-28'], serverInfo, ...declared }) }
    : { initialize: ({ protocolVersion }) => ({ protocolVersion, serverInfo, ...declared }) }

  return await serve(t, (request, response) => {
    const { http, message: { id, method = '', params = {} } } = request
    if (http !== 'POST') return response.writeHead(405).end()
    if (id === undefined) return response.writeHead(202).end()
    const notifications: object[] = []
    const answer = (outcome: object) => {
      const messages = [...notifications, outcome].map(message => JSON.stringify({ jsonrpc: '2.0', ...message }))
      if (messages.length === 1) {
        return response.writeHead(200, { 'content-type': 'application/json' }).end(messages[0])
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(messages.map(message => `event: message\ndata: ${message}\n\n`).join(''))
    }
    const give = own[method] ?? answers[method]
    if (give === undefined) return answer({ id, error: { code: -32_601, message: 'Method not found' } })
    try {
      answer({ id, result: give(params, request, (method, params) => { notifications.push({ method, params }) }) })
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      answer({ id, error: error.error })
    }
  })
}
