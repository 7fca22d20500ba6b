import { SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client'
import type { Dispatcher } from 'undici'

export type Body = Dispatcher.ResponseData['body']

export interface Exchange {
  method: 'GET' | 'POST' | 'DELETE'
  url: URL
  headers: Readonly<Record<string, string>>
  body?: string
  signal: AbortSignal
}

/** Redirects that keep the method and the body. */
const keepsMethod = new Set([307, 308])
const maxRedirects = 3
/** Longest part that is read of the answer to a refused request. */
const maxRefusalBytes = 65_536

/**
 * One HTTP request to an MCP server, and its answer when that is a 2xx. The caller must read the body.
 *
 * Redirects are followed within the origin only, so that a request's credentials go where the operator sent them.
 * Rejects with SdkHttpError for any other answer, with the client's own error when there is none.
 */
export async function exchange (dispatcher: Dispatcher, request: Exchange): Promise<Dispatcher.ResponseData> {
  const { method, url, headers, body = null, signal } = request
  let target = url
  for (let followed = 0; ; followed++) {
    const path = target.pathname + target.search
    const response = await dispatcher.request({ origin: target.origin, path, method, headers, body, signal })
    const { statusCode } = response
    if (statusCode >= 200 && statusCode < 300) return response
    const next = redirectTarget(response, target)
    if (next === null) throw await refusal(response)
    await response.body.dump()
    if (next.origin !== url.origin || !keepsMethod.has(statusCode) || followed === maxRedirects) {
      const where = next.origin === url.origin ? next.pathname : next.origin
      throw httpError(statusCode, `it redirects to ${where}, which is not followed`)
    }
    target = next
  }
}

function redirectTarget ({ statusCode, headers: { location } }: Dispatcher.ResponseData, from: URL): URL | null {
  const isRedirect = statusCode >= 300 && statusCode < 400 && typeof location === 'string'
  return isRedirect && URL.canParse(location, from.href) ? new URL(location, from) : null
}

async function refusal ({ statusCode, body }: Dispatcher.ResponseData): Promise<SdkHttpError> {
  const text = await readText(body, maxRefusalBytes).catch(() => '') // too long or broken off; the status says enough
  return httpError(statusCode, `HTTP ${statusCode}`, text)
}

/** The error that the SDK's own transport rejects with. The client's handshake reads its status and its text. */
function httpError (status: number, message: string, text?: string): SdkHttpError {
  const data = { status, ...(text !== undefined && { text }) }
  return new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, message, data)
}

/** A body as text. Rejects with RangeError, and reads no further, when it is longer than `maxBytes`. */
export function readText (body: Body, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    body.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > maxBytes) body.destroy(tooLong(maxBytes))
    })
    body.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    body.once('error', reject)
  })
}

export const tooLong = (maxBytes: number) => new RangeError(`a message is longer than ${maxBytes} bytes`)
