import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { InvalidFieldError } from '../lib/errors.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Where the parameters are: in the field `params`, or in the body beside the fields that its schema names. */
    parameters?: 'params' | 'body'
  }
}

/** Edge phase: limits how many parameters a request brings, because each becomes a field of the session in Redis. */
export default fp(async (fastify) => {
  const { maxParameters } = fastify.config

  fastify.addHook('preValidation', (request, reply, done) => {
    const { parameters } = request.routeOptions.config
    if (parameters === undefined || !isJsonObject(request.body)) return done()
    if (countIn(request, request.body) <= maxParameters) return done()
    const what = parameters === 'params' ? 'parameters' : 'further fields'
    done(new InvalidFieldError(parameters, `an object with at most ${maxParameters} ${what}`))
  })
}, {
  name: 'parameter-limit',
  dependencies: [
    'config',
    'json-body' // order: a body that is not an object, or lacks a field, is refused for that
  ]
})

function countIn ({ routeOptions: { config, schema } }: FastifyRequest, body: JsonObject): number {
  // The schema rejects other types later.
  if (config.parameters === 'params') return isJsonObject(body.params) ? Object.keys(body.params).length : 0
  const { properties = {} } = (schema?.body ?? {}) as { properties?: object }
  return Object.keys(body).filter(name => !Object.hasOwn(properties, name)).length
}
