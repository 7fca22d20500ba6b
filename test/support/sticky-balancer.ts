import { createServer, type IncomingMessage, request as httpRequest } from 'node:http'
import type { Test } from 'tap'
import { listenOnLoopback } from './http-server.ts'

export interface Balancer {
  url: string
  /** The cookies that came, one entry a request; `null` for none. */
  cookies: Array<string | null>
  /** The replicas that requests went to, by number. */
  places: number[]
}

/** How a balancer marks the replica of a client. */
export type Mark = (place: number) => string[]

/**
 * A balancer in front of replicas: a request without its cookie goes to the next one, and its reply sets the cookie.
 */
export async function startBalancer (t: Test, replicas: readonly string[], mark: Mark): Promise<Balancer> {
  const cookies: Balancer['cookies'] = []
  const places: number[] = []
  let turn = 0
  const placeOf = ({ headers }: IncomingMessage) => /(?:^|; )place=(\d)/.exec(headers.cookie ?? '')?.[1]

  const server = createServer((incoming, response) => {
    const marked = placeOf(incoming)
    const place = marked === undefined ? turn++ % replicas.length : Number(marked)
    cookies.push(incoming.headers.cookie ?? null)
    places.push(place)
    const { host, ...headers } = incoming.headers
    const target = new URL(incoming.url ?? '', replicas[place])
    const outgoing = httpRequest(target, { method: incoming.method, headers }, answer => {
      const setCookie = marked === undefined ? { 'set-cookie': mark(place) } : {}
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...setCookie })
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    response.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
  const origin = await listenOnLoopback(t, server)
  return { url: `${origin}${new URL(replicas[0] ?? '').pathname}`, cookies, places }
}
