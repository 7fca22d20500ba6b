// @ts-check
import { InputError } from '../analysis/input-error.mjs'

const TIMEOUT_MS = 20_000

/**
 * Calls the demo API and returns the JSON of a success: with a body it is a POST, without one a GET.
 * Anything else is an InputError whose sentence says what to do, with the API's own words but never with the token.
 */
export async function callApi (path, { apiUrl, jwtToken, body = undefined, signal }) {
  const response = await fetch(resolveUrl(apiUrl, path), {
    headers: { authorization: `Bearer ${jwtToken}`, 'content-type': 'application/json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
    // The token is meant for this host and for no other.
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  }).catch(cause => {
    const reason = cause.name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS / 1000} s` : cause.cause?.code
    throw new InputError(`The API could not be reached: ${reason ?? 'the connection failed'}.`, { cause })
  })
  const answer = await response.json().catch(() => null)
  if (response.ok && answer?.status === 'success') return answer

  const said = answer?.error ?? `HTTP status ${response.status}, without the JSON of a success.`
  const what = response.status === 401 ? 'The API did not accept the credentials' : 'The API refused'
  throw new InputError(`${what}: ${said}`.replaceAll(jwtToken, '[token]'))
}

/** Appends to the path of apiUrl, where `new URL(path, base)` would replace it. */
export function resolveUrl (apiUrl, path) {
  const isHttp = /^https?:\/\//i.test(apiUrl) && URL.canParse(apiUrl)
  if (!isHttp) throw new InputError('apiUrl must be an http or https URL.')
  return `${apiUrl.replace(/\/+$/, '')}${path}`
}
