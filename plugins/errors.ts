import { STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import sensible from '@fastify/sensible'
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import {
  type Acted, BadRequestError, BodyNotJsonError, BodyTooLargeError, ClosingError, LearningError, InternalError,
  isServiceError, MethodNotAllowedError, RouteNotFoundError,
  SaturatedError, StoreUnavailableError
} from '../lib/errors.ts'
import {
  type Failure, failureBody, failureType, problemBody, problemType, wantsProblem
} from '../lib/http/failure-body.ts'
import { endAfterBody, endLingering, isLingering } from '../lib/http/linger.ts'
import { quotes } from '../lib/quotation.ts'
import { meansUnavailable, reasonOf } from '../lib/redis/failure.ts'
import { SealError } from '../lib/sessions/field-encryption.ts'
import { addVary } from './response-headers.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Logs a failure and gives its body, for an answer that has begun already. */
    readonly describeFailure: (error: FastifyError, request: FastifyRequest) => { body: string }
    /** What a failure is answered. Logs nothing. */
    readonly failureAnswer: (
      error: FastifyError, request: FastifyRequest
    ) => { statusCode: number, body: string, code: string, acted: Acted | undefined }
  }
  interface FastifyReply {
    /** Answers with a failure from its recorded body, in the form that this caller takes. Logs nothing. */
    sendRecordedFailure: (statusCode: number, body: string) => FastifyReply
  }
  interface FastifyRequest {
    /** Code of the failure that the request was answered with; `null` until there is one. */
    failureCode: string | null
    /** Why the service broke the request off: what it fails with from then on is answered as this. */
    interruption: FastifyError | null
  }
}

/**
 * Whether the service is just starting, or ending, or has too much to do: a probe asks about it again and again, and a
 * line at error for each request would be more to do.
 */
const isOfLife = (failure: unknown) =>
  failure instanceof ClosingError || failure instanceof LearningError || failure instanceof SaturatedError

/** Seconds after which a refused request may be sent again, where nothing better is known. */
const retryAfterSeconds = '1'

/**
 * Where the codes of each server are explained. Failures without a route come from Fastify's root, which does not know
 * the settings.
 */
const docsUrls = new WeakMap<object, string>()

const unsealed = 'the fields of a session cannot be decrypted'

/**
 * Edge phase: answers every failure with one body shape, `{ status, error, code, retryable }`, and logs it. A failed
 * tool call says in `acted`, too, whether the tool can have acted. A caller who asks for it gets problem details.
 *
 * Errors of Fastify are translated. An unforeseen error goes to the log only: the caller gets a general sentence.
 */
export default fp(async (fastify) => {
  await fastify.register(sensible)
  docsUrls.set(fastify.server, fastify.config.errorDocsUrl)
  fastify.decorateRequest('failureCode', null)
  fastify.decorateRequest('interruption', null)

  function assess (error: FastifyError, request: FastifyRequest) {
    const failure = interrupted(error, request) ?? translate(error, fastify.config.maxBodyBytes)
    // A failure that does not say so was there before the tool was called.
    const acted = request.routeOptions.config.toolCall ? failure.acted ?? 'no' : undefined
    return { failure, statusCode: failure.statusCode ?? 500, acted }
  }

  function report (error: FastifyError, request: FastifyRequest) {
    const { failure, statusCode, acted } = assess(error, request)
    request.failureCode = failure.code
    const trouble = troubleOf(failure)
    const line = { code: failure.code, statusCode, route: request.routeOptions.url }
    // An outage has one line at error, not one for each of its requests.
    if (trouble !== null) request.log.info({ ...line, reason: trouble }, 'request refused')
    else if (isOfLife(failure)) request.log.info(line, 'request refused')
    else if (statusCode >= 500) reportFailure(failure, line, request)
    // The operator must know about an encryption key that is missing.
    else if (error.cause instanceof SealError) request.log.warn({ ...line, reason: error.cause.message }, unsealed)
    // The sentence of a 4xx may repeat the caller's own values, so the log gets only the code.
    else request.log.info(line, 'request refused')
    return { failure, statusCode, acted }
  }

  fastify.decorate('failureAnswer', (error: FastifyError, request: FastifyRequest) => {
    const { failure, statusCode, acted } = assess(error, request)
    return { statusCode, body: failureBody(failure, acted), code: failure.code, acted }
  })

  fastify.decorate('describeFailure', (error: FastifyError, request: FastifyRequest) => {
    const { failure, acted } = report(error, request)
    return { body: failureBody(failure, acted) }
  })

  fastify.decorateReply('sendRecordedFailure', function (statusCode, body) {
    const { error: message, acted, ...rest } = JSON.parse(body) as RecordedFailure
    return sendFailure(this, { message, ...rest }, statusCode, acted)
  })

  fastify.setErrorHandler((error: FastifyError, request, reply) => {
    const { failure, statusCode, acted } = report(error, request)
    return sendFailure(reply, failure, statusCode, acted)
  })

  function answerNotFound (request: FastifyRequest, reply: FastifyReply) {
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = ['GET', 'POST', 'PUT', 'DELETE'].filter(method => fastify.findRoute({ method, url: path }) !== null)
    if (allowed.length === 0) return sendFailure(reply, new RouteNotFoundError(request.method, path), 404)
    reply.header('allow', allowed.join(', '))
    return sendFailure(reply, new MethodNotAllowedError(path, allowed.join(', ')), 405)
  }

  fastify.setNotFoundHandler(answerNotFound)
  // Before the body is read: a fault in it does not matter on a path that does not exist.
  fastify.addHook('preParsing', (request, reply, payload, done) => {
    if (request.is404) answerNotFound(request, reply)
    else done()
  })
}, { name: 'errors', dependencies: ['config'] })

/** What failureBody has written. */
type RecordedFailure = Omit<Failure, 'message'> & { error: string }

/** Fields of a body that name what is requested, and are no data of the caller's. */
const names = new Set(['session_id', 'tool', 'name', 'server', 'continue'])

/** Logs a failure of the service or of a server. Its sentence may be a server's, and repeat what the caller sent. */
function reportFailure (failure: Failure, line: object, { body, log, routeOptions }: FastifyRequest): void {
  const isAllData = routeOptions.config.sessionInHeader === true
  const sent = Object.entries(body ?? {}).filter(([name]) => isAllData || !names.has(name)).map(([, value]) => value)
  const err = failure
  if (!messagesOf(failure).some(message => quotes(message, sent))) return log.error({ ...line, err }, 'request failed')
  log.error({ ...line, quotesCaller: true }, 'request failed; debug shows its sentence, which quotes the caller')
  log.debug({ ...line, err }, 'request failed')
}

/** The reason of a request that was broken off, with what its failure knows of the tool. */
function interrupted ({ acted }: FastifyError, { interruption }: FastifyRequest): Failure | null {
  return interruption && Object.assign(interruption, acted !== undefined && { acted })
}

function messagesOf (error: unknown): string[] {
  if (!(error instanceof Error)) return []
  return [error.message, ...messagesOf(error.cause)]
}

function sendFailure (reply: FastifyReply, failure: Failure, statusCode: number, acted?: Acted) {
  const mayComeAgain = statusCode === 503 || statusCode === 429
  if (failure.retryAfter !== undefined) reply.header('retry-after', String(Math.ceil(failure.retryAfter)))
  else if (mayComeAgain && !reply.hasHeader('retry-after')) reply.header('retry-after', retryAfterSeconds)
  const { body, type } = formOf(failure, reply.request, statusCode, acted)
  addVary(reply, ['accept'])
  return reply.code(statusCode).type(type).send(body)
}

/** Why Redis cannot serve; `null` for any other failure. */
function troubleOf (failure: Failure): string | null {
  if (!(failure instanceof StoreUnavailableError)) return null
  const reason = reasonOf(failure.cause)
  return meansUnavailable(reason) ? reason : null
}

/** A failure in the form that its caller takes: the service's own, or problem details where they are asked for. */
function formOf (failure: Failure, request: FastifyRequest, statusCode: number, acted?: Acted) {
  const { headers, id, server } = request
  if (!wantsProblem(headers.accept)) return { body: failureBody(failure, acted), type: failureType }
  const docsUrl = docsUrls.get(server.server) ?? ''
  return { body: problemBody(failure, { statusCode, acted, requestId: id, docsUrl }), type: problemType }
}

function translate (error: FastifyError, maxBodyBytes: number): Failure {
  if (isServiceError(error)) return error
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new BodyTooLargeError(maxBodyBytes)
  if (error.code === 'FST_ERR_CTP_INVALID_JSON_BODY') return new BodyNotJsonError()
  const { statusCode = 500 } = error
  // The sentences of Fastify's and sensible's own 4xx are written for callers.
  if (statusCode >= 400 && statusCode < 500) return Object.assign(new BadRequestError(error.message), { statusCode })
  return new InternalError({ cause: error })
}

/** Answers failures that Fastify finds before there is a route, like a path that cannot be decoded. */
export function frameworkErrors (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const statusCode = error.statusCode ?? 400
  reply.headers({ 'cache-control': 'no-store', vary: 'accept', 'x-request-id': request.id }) // no hook runs
  const { body, type } = formOf(new BadRequestError(error.message), request, statusCode)
  reply.code(statusCode).type(type).header('content-length', Buffer.byteLength(body))
  // A GET has no body, and nor has a request of inject.
  const isArriving = !request.raw.complete && request.raw.socket instanceof Socket
  return reply.send(isArriving ? endAfterBody(request.raw, reply.raw, body) : body)
}

/** Answers bytes that are not a request. There is no reply object, only a connection, which ends with the answer. */
export function answerClientError (error: ConnectionError, socket: Socket): void {
  // What comes after a fault is one more fault.
  if (isLingering(socket, (error.rawPacket as unknown as Buffer | undefined)?.length)) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [statusCode, message] = clientFailures.get(error.code) ?? [400, 'The request is not valid HTTP']
  const body = failureBody(new BadRequestError(message))
  endLingering(socket, [
    `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}`,
    'connection: close',
    'cache-control: no-store',
    `content-type: ${failureType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body
  ].join('\r\n'))
}

const clientFailures = new Map<string | undefined, [statusCode: number, message: string]>([
  ['ERR_HTTP_REQUEST_TIMEOUT', [408, 'The request did not arrive in time']],
  ['HPE_HEADER_OVERFLOW', [431, 'The headers of the request are too large']]
])
