import type { FastifyInstance } from 'fastify'
import { initSession } from './requests.ts'
import { until } from './wait.ts'

export interface Caller {
  /** Hangs up. */
  leave: () => void
  /** The status and the body of the answer; `null` for a caller who left. */
  answer: Promise<{ status: number, body: any } | null> // eslint-disable-line @typescript-eslint/no-explicit-any
}

/** Sends a request over a socket of its own, so that its caller can leave. */
export function send (url: string, body: object): Caller {
  const controller = new AbortController()
  const { signal } = controller
  const headers = { 'content-type': 'application/json' }
  const answer = fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal })
    .then(async response => ({ status: response.status, body: await response.json() }))
    .catch((error: unknown) => {
      if (signal.aborted) return null
      throw error
    })
  return { leave: () => controller.abort(), answer }
}

/** A service that listens, seen by its callers. */
export async function callersOf (service: FastifyInstance) {
  const url = await service.listen({ host: '127.0.0.1', port: 0 })
  const ids = [await initSession(service)]
  /** What it has at servers with a url, as `/health` says. */
  const upstreams = async () =>
    (await service.inject('/health')).json<{ upstreams: { running: number, waiting: number } }>().upstreams
  return {
    url,
    upstreams,
    async openSessions (count: number) {
      while (ids.length < count) ids.push(await initSession(service, { jwtToken: `token.of.${ids.length}` }))
    },
    /** Calls a tool; each call has the next of the sessions. */
    call: (tool: string, count: number, fields: object = {}) => Array.from({ length: count }, (_, index) =>
      send(`${url}/call-tool`, { session_id: ids[index % ids.length], tool, params: {}, ...fields })),
    request: (path: string, count: number, fields: object) => Array.from({ length: count }, (_, index) =>
      send(url + path, { session_id: ids[index % ids.length], ...fields })),
    async untilCounts (running: number, waiting: number) {
      await until(async () => {
        const counts = await upstreams()
        return counts.running === running && counts.waiting === waiting
      }, `${running} requests run and ${waiting} wait`)
    }
  }
}

export const statusesOf = async (callers: readonly Caller[]) =>
  await Promise.all(callers.map(async ({ answer }) => (await answer)?.status ?? null))
