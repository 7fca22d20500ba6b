import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { BadRequestError, InvalidFieldError } from '../lib/errors.ts'
import { bearerToken } from '../lib/http/api-keys.ts'
import { sessionIdHeader, sessionIdPattern } from '../lib/http/schemas.ts'
import { isJsonObject } from '../lib/json.ts'
import type { SessionRef } from '../lib/sessions/session-ref.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The session's id in the header `X-Session-Id`; `undefined` when there is none. Throws InvalidFieldError. */
    idInHeader: () => string | undefined
    /** The id with the request's proof of it: the name of its API key and, where sessions need one, its token. */
    sessionRef: (id: string) => SessionRef
  }
  interface FastifyContextConfig {
    /** The session's id comes in the header only: a field of the body that is named like it is the caller's own. */
    sessionInHeader?: boolean
  }
}

/**
 * Edge phase: knows which session a request is about, without looking whether there is one.
 *
 * Each route that takes a session takes its id in the body or in the header. An id in the header is copied into the
 * body, so that the route's schema and handler find it there, unless the body is nothing but the caller's own.
 */
export default fp(async (fastify) => {
  const { sessionTokens } = fastify.config

  fastify.decorateRequest('idInHeader', function () {
    return idInHeader(this)
  })

  fastify.decorateRequest('sessionRef', function (id) {
    if (this.asyncCall !== null) return this.asyncCall.ref
    return { id, client: this.client, ...(sessionTokens && { token: bearerToken(this.headers.authorization) ?? '' }) }
  })

  fastify.addHook('preValidation', (request, reply, done) => {
    if (request.method !== 'POST' || request.routeOptions.config.sessionInHeader) return done()
    const id = idInHeader(request)
    if (id === undefined || !isJsonObject(request.body)) return done()
    const { session_id: idInBody } = request.body
    if (idInBody === undefined || idInBody === null || idInBody === '') request.body.session_id = id
    // The schema rejects other types later.
    else if ((typeof idInBody === 'string' || typeof idInBody === 'number') && String(idInBody) !== id) {
      return done(new BadRequestError(`session_id and the header ${sessionIdHeader} name different sessions`))
    }
    done()
  })
}, { name: 'session-reference', dependencies: ['config', 'api-keys', 'async-requests'] })

const pattern = new RegExp(sessionIdPattern, 'u')
const rule = 'a string of 1 to 256 characters without control characters'

/** Headers are bytes to HTTP and Latin-1 to Node. Ids are UTF-8 and counted in characters, as in a body. */
function idInHeader (request: FastifyRequest): string | undefined {
  const joined = request.headers[sessionIdHeader]
  const value = typeof joined === 'string' && joined.includes(', ') ? onlyValue(request, joined) : joined
  if (value === undefined || value === '') return undefined
  const id = Buffer.from(String(value), 'latin1').toString('utf8')
  const isId = [...id].length <= 256 && pattern.test(id) && !id.includes('\uFFFD')
  if (!isId) throw new InvalidFieldError(sessionIdHeader, rule)
  return id
}

/** Node joins the values of a header that was sent several times. The same id twice is one id, two are a mistake. */
function onlyValue ({ raw: { rawHeaders } }: FastifyRequest, joined: string): string {
  const isValue = (index: number) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === sessionIdHeader
  const sent = rawHeaders.filter((_, index) => isValue(index))
  if (sent.length < 2) return joined
  const [value = '', ...others] = new Set(sent.filter(one => one !== ''))
  if (others.length > 0) throw new BadRequestError(`The header ${sessionIdHeader} was sent with different ids`)
  return value
}
