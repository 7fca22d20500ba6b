import type { FastifySchemaValidationError } from 'fastify/types/schema.js'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import {
  BodyNotJsonError, BodyNotObjectError, BodyTooDeepError, BodyTooLargeError, InvalidFieldError, InvalidParamsError,
  MissingFieldError
} from '../lib/errors.ts'
import { isJsonObject, isNestedDeeper, type JsonObject } from '../lib/json.ts'
import { type JsonDocument, presentMember, readJson, textOf } from '../lib/json-text.ts'

const kText = Symbol('bodyText')
const kDocument = Symbol('bodyDocument')

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The body as it was sent, with the members of its members listed: what goes on to tools and sessions is taken from
     * it, because digits beyond a double are lost in `body`. Read when it is first asked for.
     */
    readonly bodyDocument: JsonDocument
    /** The text of a field of the body; `undefined` for one that is absent or `null`. */
    fieldText: (name: string) => string | undefined
    [kText]: string
    [kDocument]: JsonDocument | null
  }
  interface FastifyContextConfig {
    /** The sentence of the failure when a required field is missing. */
    missing?: string
    /** Fields that this body must have in addition to those that its schema requires. */
    requires?: (body: JsonObject) => readonly string[]
    /** Fields that a body must not have, each with the rule of the failure's sentence: `<field> must be <rule>`. */
    refused?: Readonly<Record<string, string>>
  }
}

/** What a call that is made later has around its caller's body, at most (bytes). */
const mostAround = 65_536

/**
 * Edge phase: parses and validates bodies. A body is a JSON object whatever its Content-Type, so that `curl -d` works
 * without a header.
 */
export default fp(async (fastify) => {
  const { maxBodyBytes, maxJsonDepth } = fastify.config
  const parseJson = fastify.getDefaultJsonParser('error', 'error')

  fastify.decorateRequest(kText, '{}')
  fastify.decorateRequest(kDocument, null)
  fastify.decorateRequest('bodyDocument', {
    getter () {
      this[kDocument] ??= readJson(this[kText], 2)
      if (this[kDocument] === null) throw new BodyNotJsonError()
      return this[kDocument]
    }
  })

  fastify.decorateRequest('fieldText', function (name) {
    const { bodyDocument: document } = this
    const field = presentMember(document.root, name)
    return field === null ? undefined : textOf(document, field)
  })

  fastify.addHook('onRequest', (request, reply, done) => {
    request.headers['content-type'] = 'application/json'
    done()
  })

  fastify.removeAllContentTypeParsers()
  const options = { parseAs: 'buffer', bodyLimit: maxBodyBytes + mostAround } as const
  fastify.addContentTypeParser('application/json', options, (request, bytes: Buffer, done) => {
    // A call that is made later was small enough when it was accepted, and has its session and its tool around it now.
    const isOwn = request.asyncCall !== null
    if (bytes.length > maxBodyBytes && !isOwn) return done(new BodyTooLargeError(maxBodyBytes))
    const text = decodeUtf8(bytes)
    if (text === null) return done(new BodyNotJsonError())
    if (text.trim() === '') return done(null, {}) // the session's id may be in the header
    const deepest = maxJsonDepth + (isOwn ? 1 : 0)
    if (isNestedDeeper(text, deepest)) return done(new BodyTooDeepError(maxJsonDepth))
    request[kText] = text
    parseJson(request, text, (error, body) => done(error && unreadable(text, error), body))
  })

  fastify.addHook('preValidation', (request, reply, done) => {
    done(request.method === 'POST' || request.method === 'PUT' ? faultOf(request) : undefined)
  })

  fastify.setSchemaErrorFormatter((errors) => describe(errors as VerboseError[]))
}, {
  name: 'json-body',
  dependencies: [
    'config', 'async-requests',
    'schemas', // order: its validator is verbose, which the formatter of faults needs
    'session-reference' // order: an id in the header is put into the body before required fields are checked
  ]
})

const decoder = new TextDecoder('utf-8', { fatal: true })

/** `null` for bytes that are not UTF-8. Fastify would replace them, and the caller's values would be altered. */
function decodeUtf8 (bytes: Buffer): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

/** Why a body cannot be taken: it is JSON when only the names of its members are in the way. */
function unreadable (text: string, error: Error): Error {
  try {
    JSON.parse(text)
  } catch {
    return error
  }
  const message = 'The body has a key that no body may have: __proto__, or prototype within constructor'
  return Object.assign(new BodyNotJsonError(), { message })
}

/** Finds faults for which schemas have no good sentence. A required field that is null or empty is missing, too. */
function faultOf ({ body, routeOptions: { config, schema } }: FastifyRequest): Error | undefined {
  if (!isJsonObject(body)) return new BodyNotObjectError()
  const { required = [] } = (schema?.body ?? {}) as { required?: string[] }
  const isMissing = (name: string) => !Object.hasOwn(body, name) || body[name] === null || body[name] === ''
  const missing = [...required, ...config.requires?.(body) ?? []].find(isMissing)
  if (missing !== undefined) return new MissingFieldError(config.missing ?? `Missing ${missing}`)
  const refused = Object.entries(config.refused ?? {}).find(([name]) => Object.hasOwn(body, name))
  return refused && new InvalidFieldError(...refused)
}

interface VerboseError extends FastifySchemaValidationError {
  data?: unknown
  parentSchema?: { title?: string }
}

/** An error that names the field and its rule, without the value, which may be a secret. */
function describe (errors: VerboseError[]): Error {
  const error = errors.at(-1)
  const field = (error?.instancePath.slice(1) || 'body').replaceAll('/', '.')
  const rule = error?.parentSchema?.title ?? error?.message?.replace(/^must be /, '') ?? 'valid'
  if (field === 'params') return new InvalidParamsError()
  return new InvalidFieldError(field, rule)
}
