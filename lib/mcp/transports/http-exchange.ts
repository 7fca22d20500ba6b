import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { CookieJar } from './cookie-jar.ts'
import type { UpstreamDispatchOptions } from './http-agent.ts'
import { NotSentError } from './text-transport.ts'

export type ReplyHeaders = Readonly<Record<string, string | string[] | undefined>>

export interface Reply {
  status: number
  headers: ReplyHeaders
  /** As it came; see decodedBody. It must be read, discarded or destroyed. */
  body: Readable
}

export interface HttpMessage {
  method: 'GET' | 'POST' | 'DELETE'
  url: URL
  headers: Readonly<Record<string, string>>
  body?: string
  /** Values of the body that no proxy may read. */
  secrets?: readonly unknown[]
  signal: AbortSignal
  /** Sent, and kept from the reply. */
  cookies?: CookieJar | null
}

/**
 * One HTTP request and its reply, of any status.
 *
 * Rejects with NotSentError when no byte of the request was written, with the client's own error when the connection
 * breaks later. The body breaks off with the same errors.
 *
 * undici's own `request` does not tell the two apart, so this is a handler of its dispatcher.
 */
export function exchangeOnce (dispatcher: Dispatcher, message: HttpMessage): Promise<Reply> {
  const { method, url, body: content = null, secrets = [], signal, cookies } = message
  const headers = withCookies(message)
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null
    let body: Readable | null = null
    let isOver = false

    const onAbort = () => fail(signal.reason as Error) // the signals of this service abort with an error
    signal.addEventListener('abort', onAbort, { once: true })

    function fail (error: Error): void {
      signal.removeEventListener('abort', onAbort)
      if (body !== null) body.destroy(error)
      else reject(controller === null ? new NotSentError(error) : error)
      controller?.abort(error)
    }

    function end (): void {
      isOver = true
      signal.removeEventListener('abort', onAbort)
    }

    if (signal.aborted) return onAbort()
    const path = url.pathname + url.search
    // A request has its own deadline; a proxy's pool does not take the agent's.
    const timeouts = { headersTimeout: 0, bodyTimeout: 0 }
    const { origin } = url
    const options: UpstreamDispatchOptions = { origin, path, method, headers, body: content, secrets, ...timeouts }
    dispatcher.dispatch(options, {
      onRequestStart (started) {
        if (signal.aborted) return started.abort(signal.reason as Error)
        controller = started
      },
      onResponseStart (started, status, headers) {
        if (status < 200) return
        cookies?.store(headers, url)
        body = new Readable({
          read: () => started.resume(),
          destroy (error, callback) {
            if (!isOver) started.abort(error ?? new Error('the answer was given up'))
            callback(error)
          }
        })
        resolve({ status, headers, body })
      },
      onResponseData (started, chunk) {
        if (body?.push(chunk) === false) started.pause()
      },
      onResponseEnd () {
        end()
        body?.push(null)
      },
      onResponseError (_, error) {
        end()
        if (body !== null) body.destroy(error)
        else reject(controller !== null || error instanceof NotSentError ? error : new NotSentError(error))
      }
    })
  })
}

/** An entry may have cookies of its own. */
function withCookies ({ url, headers, cookies }: HttpMessage): Readonly<Record<string, string>> {
  const kept = cookies?.header(url) ?? null
  if (kept === null) return headers
  return { ...headers, cookie: headers.cookie === undefined ? kept : `${headers.cookie}; ${kept}` }
}

/** Most that is read of a body that nobody needs (bytes): less costs less than another connection. */
const maxDiscardedBytes = 131_072

/** Reads a body that nobody needs to its end, so that its connection can be used again. Never rejects. */
export function discard (body: Readable): Promise<void> {
  return new Promise(resolve => {
    let bytes = 0
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxDiscardedBytes) body.destroy()
    })
    body.once('error', () => resolve())
    body.once('close', resolve)
  })
}
