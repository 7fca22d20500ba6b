// @ts-check

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/** An answer other than success; its message is what the caller reads. */
export class HttpError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor (status, message, options) {
    super(message, options)
    this.status = status
  }
}

/**
 * Reads a JSON object; 400 when it is not one, 413 when it is longer.
 * @param {IncomingMessage} request
 * @param {number} maxBytes
 * @returns {Promise<Record<string, unknown>>}
 */
export async function readJsonObject (request, maxBytes) {
  const chunks = []
  let size = 0
  // Leaving an ordinary `for await` early destroys the socket, and with it the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length
    if (size > maxBytes) throw new HttpError(413, `The body is larger than ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  const body = parseJson(Buffer.concat(chunks).toString())
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new HttpError(400, 'The body must be a JSON object.')
  }
  return /** @type {Record<string, unknown>} */ (body)
}

/**
 * @param {string} text
 * @returns {unknown}
 */
function parseJson (text) {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new HttpError(400, 'The body is not valid JSON.', { cause: error })
  }
}

/**
 * @param {ServerResponse} response
 * @param {number} status
 * @param {unknown} body
 */
export function sendJson (response, status, body) {
  send(response, status, 'application/json; charset=utf-8', JSON.stringify(body))
}

/**
 * @param {ServerResponse} response
 * @param {number} status
 * @param {string} contentType
 * @param {string} text
 * @param {Record<string, string>} [headers]
 */
export function send (response, status, contentType, text, headers = {}) {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
    ...headers
  })
  response.end(text)
}
