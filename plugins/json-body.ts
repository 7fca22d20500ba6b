import { Ajv } from 'ajv'
import type { FastifySchemaValidationError } from 'fastify/types/schema.js'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { BodyNotJsonError, BodyNotObjectError, BodyTooDeepError, InvalidFieldError, InvalidParamsError, MissingFieldError } from '../lib/errors.ts'
import { isJsonObject, isNestedDeeper, type JsonObject } from '../lib/json.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request is told that leaves out a field which the body's schema requires. */
    missing?: string
    /** Fields that a body must have because of others that it has, beside those that its schema requires. */
    requires?: (body: JsonObject) => readonly string[]
    /** Fields that a body which may hold any others must not have, with what is said of each: `<field> must be …`. */
    refused?: Readonly<Record<string, string>>
  }
}

/**
 * Bodies are JSON objects whatever the Content-Type says: `curl -d` without a header works, as it did before.
 *
 * Values are taken as they are, never coerced or stripped: they are arguments of somebody's tool. The validator is made here
 * and not by server options, which plain `fastify start` does not apply.
 */
export default fp(async (fastify) => {
  const { maxBodyBytes, maxJsonDepth } = fastify.config
  const parseJson = fastify.getDefaultJsonParser('error', 'error')

  fastify.addHook('onRequest', (request, reply, done) => {
    request.headers['content-type'] = 'application/json'
    done()
  })

  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (request, bytes: Buffer, done) => {
    const text = decodeUtf8(bytes)
    if (text === null) return done(new BodyNotJsonError())
    if (text.trim() === '') return done(null, {}) // what is missing is said by field, and the id may be in a header
    if (isNestedDeeper(text, maxJsonDepth)) return done(new BodyTooDeepError(maxJsonDepth))
    parseJson(request, text, done)
  })

  fastify.addHook('preValidation', (request, reply, done) => {
    done(request.method === 'POST' ? faultOf(request) : undefined)
  })

  // `verbose` gives the formatter below what was sent and what the schema says of itself.
  const ajv = new Ajv({ verbose: true, allowUnionTypes: true })
  fastify.setValidatorCompiler(({ schema }) => ajv.compile(schema as object))
  fastify.setSchemaErrorFormatter((errors) => describe(errors as VerboseError[]))
}, {
  name: 'json-body',
  dependencies: [
    'config',
    'session-reference' // order: an id in the header is put into the body before required fields are checked
  ]
})

const decoder = new TextDecoder('utf-8', { fatal: true })

/** `null` for bytes that are no UTF-8: replaced by question marks, as Fastify would, they would pass for what the caller said. */
function decodeUtf8 (bytes: Buffer): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

/** What no schema can say well: a body that is no object, and a required field that is absent, null or empty, which is all the same. */
function faultOf ({ body, routeOptions }: FastifyRequest): Error | undefined {
  if (!isJsonObject(body)) return new BodyNotObjectError()
  const { required = [] } = (routeOptions.schema?.body ?? {}) as { required?: string[] }
  const absent = [...required, ...routeOptions.config.requires?.(body) ?? []].find(name => !Object.hasOwn(body, name) || body[name] === null || body[name] === '')
  if (absent !== undefined) return new MissingFieldError(routeOptions.config.missing ?? `Missing ${absent}`)
  const refused = Object.entries(routeOptions.config.refused ?? {}).find(([name]) => Object.hasOwn(body, name))
  return refused && new InvalidFieldError(...refused)
}

interface VerboseError extends FastifySchemaValidationError {
  data?: unknown
  parentSchema?: { title?: string }
}

/** An error that names the field, and says what it takes without repeating what it got. */
function describe (errors: VerboseError[]): Error {
  const error = errors.at(-1)
  const field = (error?.instancePath.slice(1) || 'body').replaceAll('/', '.')
  const rule = error?.parentSchema?.title ?? error?.message?.replace(/^must be /, '') ?? 'valid'
  if (field === 'params') return new InvalidParamsError()
  return new InvalidFieldError(field, rule)
}
