import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { CancelSignal } from '../../cancellation.ts'
import { holdsSecret } from '../../mask.ts'
import type { CookieJar } from './cookie-jar.ts'
import type { UpstreamDispatchOptions } from './proxy-agent.ts'
import { NotSentError, type RequestHeaders } from './text-transport.ts'

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
  /** `cookie`, where the operator gave one, is in lower case. */
  headers: RequestHeaders
  body?: string
  /** Values of the body that no proxy may read. */
  secrets?: readonly unknown[]
  signal: CancelSignal
  /** Sent, and kept from the reply. */
  cookies?: CookieJar | null
}

/** Longest body that is handed over in one piece (bytes). */
const pieceBytes = 65_536

/**
 * One HTTP request and its reply, of any status.
 *
 * Rejects with NotSentError when the request was not written to its end, with the client's own error when the
 * connection breaks later. The body breaks off with the same errors.
 *
 * undici's own `request` does not tell the two apart, so this is a handler of its dispatcher.
 */
export function exchangeOnce (dispatcher: Dispatcher, message: HttpMessage): Promise<Reply> {
  const { method, url, secrets = [], signal, cookies } = message
  const content = contentOf(message.body)
  const headers = fieldsOf(message, content.length)
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null
    let body: Readable | null = null
    let isOver = false

    const onAbort = () => fail(signal.reason as Error) // the signals of this service abort with an error
    signal.addEventListener('abort', onAbort, { once: true })

    function fail (error: Error): void {
      signal.removeEventListener('abort', onAbort)
      giveUp(error)
      controller?.abort(error)
    }

    function giveUp (error: Error): void {
      if (body !== null) body.destroy(error)
      else if (error instanceof NotSentError) reject(error)
      else reject(controller === null || !content.isHandedOver() ? new NotSentError(error) : error)
    }

    function end (): void {
      isOver = true
      signal.removeEventListener('abort', onAbort)
    }

    if (signal.aborted) return onAbort()
    const path = url.pathname + url.search
    // A request has its own deadline; a proxy's pool does not take the agent's.
    const timeouts = { headersTimeout: 0, bodyTimeout: 0 }
    const options: UpstreamDispatchOptions = {
      origin: url.origin,
      path,
      method,
      headers,
      body: content.body,
      ...timeouts,
      holdsSecret: () => holdsSecret(message.body ?? '', secrets)
    }
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
        body.on('error', () => {}) // it may break off before somebody reads it, who then learns of it
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
        giveUp(error)
      }
    })
  })
}

/**
 * The body of a request. A long one is handed over piece by piece, so that it is known whether all of it was: a server
 * that breaks off before cannot have read it.
 */
function contentOf (text: string | undefined) {
  if (text === undefined || text.length < pieceBytes) {
    return { body: text ?? null, length: null, isHandedOver: () => true }
  }
  const bytes = Buffer.from(text)
  let isHandedOver = false
  const body = Readable.from(pieces(), { highWaterMark: 1 })
  body.on('error', () => {}) // the request fails with the same error
  return { body, length: bytes.length, isHandedOver: () => isHandedOver }

  function * pieces () {
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      isHandedOver = start + pieceBytes >= bytes.length
      yield bytes.subarray(start, start + pieceBytes)
    }
  }
}

/** Names and values in turn, as undici takes them. An entry may have cookies of its own. */
function fieldsOf ({ url, headers, cookies }: HttpMessage, length: number | null): string[] {
  const fields: string[] = []
  const own = headers.get('cookie')
  const kept = cookies?.header(url) ?? null
  for (const [name, value] of headers) if (name !== 'cookie' || kept === null) fields.push(name, value)
  if (kept !== null) fields.push('cookie', own === undefined ? kept : `${own}; ${kept}`)
  if (length !== null) fields.push('content-length', String(length))
  return fields
}

/** Most that is read of a body that nobody needs (bytes): less costs less than another connection. */
const maxDiscardedBytes = 131_072

/** Reads a body that nobody needs to its end, so that its connection can be used again. Never rejects. */
export function discard (body: Readable): Promise<void> {
  return new Promise(resolve => {
    let bytes = 0
    if (body.destroyed) return resolve()
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxDiscardedBytes) body.destroy()
    })
    body.once('error', () => resolve())
    body.once('close', resolve)
  })
}
