import type { JsonObject } from '../json.ts'
import type { Operation, SecurityRequirement } from './document.ts'

export interface SecurityOptions {
  /** Callers need an API key. */
  needsKey: boolean
  /** A session's requests need its token. */
  needsToken: boolean
}

/** What a request must carry, as the settings say it. */
export const securitySchemes = ({ needsKey, needsToken }: SecurityOptions): JsonObject => ({
  session: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Session-Id',
    description: 'Id of the session that /init or /sessions has opened.'
  },
  ...(needsKey && {
    apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'API key of the caller.' }
  }),
  ...(needsKey && !needsToken && {
    bearer: { type: 'http', scheme: 'bearer', description: 'The same key, where no other header can be sent.' }
  }),
  ...(needsToken && {
    sessionToken: { type: 'http', scheme: 'bearer', description: 'The `session_token` that opened the session.' }
  })
})

/** How an operation knows its session: by the header, by its body, or it knows none. */
export type SessionPlace = 'header' | 'body' | 'none'

/** What a request of an operation must carry: one of these. */
export function securityOf (place: SessionPlace, { needsKey, needsToken }: SecurityOptions): SecurityRequirement[] {
  const keys: SecurityRequirement[] = needsKey ? [{ apiKey: [] }, ...(needsToken ? [] : [{ bearer: [] }])] : [{}]
  const token = needsToken ? { sessionToken: [] } : {}
  const needed = { none: {}, body: token, header: { session: [], ...token } }[place]
  const requirements = keys.map(key => ({ ...key, ...needed }))
  // An operation that needs nothing has an empty list.
  return requirements.filter(requirement => Object.keys(requirement).length > 0)
}

/** Where the session's id of an operation is, by what its route says. */
export function sessionPlaceOf ({ parameters = [], requestBody, operationId }: Operation): SessionPlace {
  if (parameters.some(isSessionHeader)) return 'header'
  const { properties } = (requestBody?.content['application/json']?.schema ?? {}) as { properties?: JsonObject }
  // The id that is to be opened has no token yet.
  return operationId !== 'openSession' && properties !== undefined && 'session_id' in properties ? 'body' : 'none'
}

export const isSessionHeader = ({ in: place, name }: { in: string, name: string }): boolean =>
  place === 'header' && name.toLowerCase() === 'x-session-id'
