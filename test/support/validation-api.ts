import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Api {
  url: string
  /** Bodies of the requests that came, oldest first. */
  requests: unknown[]
}

/** A validation API on loopback that answers as the handler says. */
export async function startApi (
  t: Test,
  handle: (body: unknown, response: ServerResponse, request: IncomingMessage) => void
): Promise<Api> {
  const requests: unknown[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || 'null')
    requests.push(body)
    handle(body, response, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(
    () =>
      new Promise(resolve => {
        server.close(resolve)
        server.closeAllConnections()
      })
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

export const answer = (status: number, body: unknown) => (_: unknown, response: ServerResponse) => {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** A validation API whose refusals repeat the token that it refuses. */
export function startRepeatingApi (t: Test, isGood: (token: string) => boolean): Promise<Api> {
  return startApi(t, (body, response) => {
    const { jwtToken } = body as { jwtToken: string }
    const verdict = isGood(jwtToken)
      ? { status: 'success' }
      : { status: 'error', error: `the token ${jwtToken} is not good` }
    answer(verdict.status === 'success' ? 200 : 401, verdict)(body, response)
  })
}
