// @ts-check
import { InputError } from '../analysis/input-error.mjs'

/**
 * @typedef {object} ApiCall
 * @property {string} apiUrl
 * @property {string} jwtToken secret: it goes to the API, never into a message
 * @property {unknown} [body] sent with POST; without one it is a GET
 * @property {AbortSignal} signal of the tool call
 */

const TIMEOUT_MS = 20_000

/**
 * Calls the demo API and returns the JSON of a success.
 * Anything else is an InputError whose sentence says what to do, with the API's own words where it gave some.
 * @param {string} path
 * @param {ApiCall} call
 * @returns {Promise<any>}
 */
export async function callApi (path, call) {
  const response = await send(path, call)
  /** @type {any} */
  const answer = await response.json().catch(() => null)
  if (response.ok && answer?.status === 'success') return answer

  const said = typeof answer?.error === 'string' ? answer.error : `HTTP status ${response.status}, without the JSON of a success.`
  const what = response.status === 401 ? 'The API did not accept the credentials' : 'The API refused'
  throw new InputError(mask(`${what}: ${said}`, call.jwtToken))
}

/**
 * @param {string} path
 * @param {ApiCall} call
 */
async function send (path, { apiUrl, jwtToken, body, signal }) {
  try {
    return await fetch(resolveUrl(apiUrl, path), {
      headers: { authorization: `Bearer ${jwtToken}`, 'content-type': 'application/json' },
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      // The token is meant for this host and for no other.
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
    })
  } catch (error) {
    if (error instanceof InputError) throw error
    const { name, cause } = /** @type {Error} */ (error)
    const reason = name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS / 1000} s` : causeCode(cause)
    throw new InputError(mask(`The API could not be reached: ${reason}.`, jwtToken), { cause: error })
  }
}

/**
 * Appends to the path of apiUrl, where `new URL(path, base)` would replace it.
 * @param {string} apiUrl
 * @param {string} path
 */
export function resolveUrl (apiUrl, path) {
  if (!/^https?:\/\//i.test(apiUrl) || !URL.canParse(apiUrl)) throw new InputError('apiUrl must be an http or https URL.')
  return `${apiUrl.replace(/\/+$/, '')}${path}`
}

/** @param {unknown} cause */
function causeCode (cause) {
  return /** @type {{ code?: string } | undefined} */ (cause)?.code ?? 'the connection failed'
}

/**
 * @param {string} text
 * @param {string} secret
 */
function mask (text, secret) {
  return secret === '' ? text : text.replaceAll(secret, '[token]')
}
