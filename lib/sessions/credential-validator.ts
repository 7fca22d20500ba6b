import { type Dispatcher, request } from 'undici'
import { anySignal, type CancelSignal } from '../cancellation.ts'
import { type ApiHostRules, checkApiUrl } from './api-hosts.ts'
import { InvalidCredentialsError, ValidationApiError, ValidationTimeoutError } from '../errors.ts'
import { type JsonObject, parseJsonObject } from '../json.ts'
import { createMask } from '../mask.ts'

export interface Credentials { apiUrl: string, jwtToken: string }

/**
 * Resolves when the API accepts the credentials.
 *
 * Rejects with InvalidCredentialsError when their form is wrong or the API refuses them. The sentence is the API's own
 * when it gives one, with the token masked. Rejects with ApiHostError when a session may not point to the URL, with
 * ValidationApiError or ValidationTimeoutError when there is no verdict.
 */
export type CredentialValidator = (credentials: Credentials, signal: CancelSignal) => Promise<void>

export interface CredentialValidatorOptions {
  /** The URL that gets `{apiUrl, jwtToken}` by POST. */
  url: string
  timeoutMs: number
}

/** A verdict has a few bytes; a page of HTML is not read to its end. */
const maxAnswerBytes = 65_536

/** With `null` options the API is not called: credentials of the right form are accepted. */
export function createCredentialValidator (
  options: CredentialValidatorOptions | null, apiHosts: ApiHostRules
): CredentialValidator {
  return async (credentials, signal) => {
    checkForm(credentials)
    checkApiUrl(credentials.apiUrl, apiHosts)
    if (options === null) return
    const { status, answer } = await requestVerdict(options, credentials, signal)
    if (status === 200 && answer?.status === 'success') return
    if ((status === 200 && answer?.status === 'error') || (status >= 400 && status < 500)) {
      throw new InvalidCredentialsError(reasonOf(answer, credentials))
    }
    throw new ValidationApiError(`the validation API answered ${status}${status === 200 ? ' without a verdict' : ''}`)
  }
}

function checkForm ({ apiUrl, jwtToken }: Credentials): void {
  const isHttp = URL.canParse(apiUrl) && /^https?:$/.test(new URL(apiUrl).protocol)
  if (!isHttp) throw new InvalidCredentialsError('Invalid API URL format')
  if (!/^[^.\s]+\.[^.\s]+\.[^.\s]+$/.test(jwtToken)) throw new InvalidCredentialsError('Invalid JWT token format')
}

function reasonOf (answer: JsonObject | null, { jwtToken }: Credentials): string {
  const reason = answer?.error
  if (typeof reason !== 'string' || reason === '') return 'The credentials were not accepted'
  return createMask([jwtToken])(reason)
}

async function requestVerdict (
  { url, timeoutMs }: CredentialValidatorOptions, { apiUrl, jwtToken }: Credentials, callerSignal: CancelSignal
) {
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    const response = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ apiUrl, jwtToken }),
      signal: anySignal(deadline, callerSignal)
    })
    return { status: response.statusCode, answer: await readAnswer(response.body) }
  } catch (cause) {
    if (deadline.aborted) throw new ValidationTimeoutError(timeoutMs / 1000)
    throw new ValidationApiError('the validation API cannot be reached', { cause })
  }
}

/** The answer when it is a JSON object of reasonable size, else `null`. */
async function readAnswer (body: Dispatcher.ResponseData['body']): Promise<JsonObject | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) return null // leaving the loop destroys the stream
    chunks.push(chunk)
  }
  return parseJsonObject(Buffer.concat(chunks).toString('utf8'))
}
