import type { JsonObject } from '../../json.ts'
import type { Mask } from '../../mask.ts'
import { parseRetryAfter } from '../../retry-after.ts'
import type { HttpError } from '../transports/http-request.ts'

/** The parts of a refusal beside its sentence. */
export interface RefusalFacts {
  /** When the request may be sent again (s). */
  retryAfter?: number
  retryable?: boolean
  /** The authorization that the server wants. */
  authorization?: JsonObject
}

/** Longest value that is passed on (characters). */
const maxValueLength = 500
/** How much of the challenges is read (characters): patterns may read it again at each of its quotes. */
const maxChallengesLength = 4_000

/**
 * The facts in the headers of a refusal, secrets masked.
 *
 * A 429 was refused unread. A 503 may come from a proxy after the server has acted; only one that says when to come
 * again invites to it.
 */
export function factsIn (error: HttpError, mask: Mask): RefusalFacts {
  const { status } = error
  if (status === 401 || status === 403) {
    const authorization = authorizationIn(error, mask)
    return authorization === null ? {} : { authorization }
  }
  if (status !== 429 && status !== 503) return {}
  const retryAfter = parseRetryAfter(firstOf(error.headers['retry-after']))
  const retryable = status === 429 || retryAfter !== null
  return { ...(retryable && { retryable }), ...(retryAfter !== null && { retryAfter }) }
}

const passedOn = ['scope', 'resource_metadata', 'error', 'error_description'] as const

/**
 * A scheme, followed by the parameters of its challenge. A token68, which some schemes have in their place, is passed
 * over.
 */
const challenge = /(?:^|,)\s*([!#$%&'*+\-.^_`|~\w]+)(?=\s|,|$)(?!\s*=)/g
const parameter = /(?<![\w-])([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g

/** @see https://www.rfc-editor.org/rfc/rfc9110#field.www-authenticate */
function authorizationIn ({ status, headers }: HttpError, mask: Mask): JsonObject | null {
  const all = [headers['www-authenticate'] ?? []].flat().join(', ').slice(0, maxChallengesLength)
  // A quoted text may look like a challenge.
  const unquoted = all.replace(/"(?:[^"\\]|\\.)*"/g, quoted => '"'.repeat(quoted.length))
  const found = [...unquoted.matchAll(challenge)].map((match, index, matches) => ({
    scheme: match[1] ?? '', text: all.slice(match.index + match[0].length, matches[index + 1]?.index)
  }))
  const chosen = found.find(({ scheme }) => scheme.toLowerCase() === 'bearer') ?? found[0]
  if (chosen === undefined) return null
  const values = new Map([...chosen.text.matchAll(parameter)].map(([, name = '', quoted, token]) =>
    [name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? token ?? '']))
  return {
    status,
    scheme: bounded(chosen.scheme),
    ...Object.fromEntries(passedOn.flatMap(name => values.has(name) ? [[name, bounded(values.get(name) ?? '')]] : []))
  }

  function bounded (value: string): string {
    return mask(value.slice(0, maxValueLength))
  }
}

const firstOf = (header: string | string[] | undefined) => String([header ?? ''].flat()[0])
