import type { Acted } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { prefersNamed } from './media-preference.ts'

/** What a caller learns of a failure. */
export interface Failure {
  code: string
  /** A sentence for people. */
  message: string
  statusCode?: number
  retryable?: boolean
  acted?: Acted
  /** The authorization that an MCP server wants, in its own words. */
  authorization?: JsonObject
  /** The arguments of a tool call that do not fit: where each is, and what it must be. */
  arguments?: ReadonlyArray<{ pointer: string, message: string }>
  /** When the request may be sent again (s), as an MCP server says. */
  retryAfter?: number
}

/** The body of a failure, in the form that every caller gets who asks for no other. */
export const failureBody = (
  { code, message, retryable = false, authorization, arguments: faults }: Failure, acted?: Acted
) => JSON.stringify({ status: 'error', error: message, code, retryable, acted, authorization, arguments: faults })

export const failureType = 'application/json; charset=utf-8'

export const problemType = 'application/problem+json; charset=utf-8'

/** Whether a caller wants failures as problem details, by its `Accept`. */
export const wantsProblem = (accept: string | undefined) =>
  prefersNamed(accept, 'application/problem+json', 'application/json')

export interface ProblemOptions {
  statusCode: number
  acted: Acted | undefined
  requestId: string
  /** URL of the page that explains the codes, each under its own name as an anchor. May be a path. */
  docsUrl: string
}

/** Words of a code that are not written small. */
const acronyms = new Set(['API', 'JSON', 'MCP'])

/**
 * What a code says, for people: `MCPC_ERR_API_KEY` is "API key". The same for every failure of the code.
 */
export function titleOf (code: string): string {
  const words = code.replace(/^MCPC_ERR_/, '').split('_')
    .map(word => acronyms.has(word) ? word : word.toLowerCase()).join(' ')
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`
}

/**
 * The same failure as problem details.
 *
 * `instance` must be a URI reference, and an id of a caller's may have a `:` or a `/` in it, which would give it a
 * scheme or a path. So these are encoded; an id without them, like every one that is made here, is as it is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9457
 */
export function problemBody (failure: Failure, { statusCode, acted, requestId, docsUrl }: ProblemOptions): string {
  const { code, message, retryable = false, authorization, arguments: faults } = failure
  return JSON.stringify({
    type: `${docsUrl}#${code}`,
    title: titleOf(code),
    status: statusCode,
    detail: message,
    instance: encodeURIComponent(requestId),
    code,
    retryable,
    acted,
    authorization,
    arguments: faults
  })
}

/** The URL of a published page, as URLs are written; `null` for other text. */
export function parseDocsUrl (text: string): string | null {
  if (!/^https?:\/\/[^\s#]+$/i.test(text) || !URL.canParse(text)) return null
  const { username, password, href } = new URL(text)
  return username === '' && password === '' ? href : null
}
