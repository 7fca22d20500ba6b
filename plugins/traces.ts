import { type Context, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { traceContext } from '../lib/http/trace-context.ts'
import { flushSpans, makeSpansOfPhases, registeredTracer } from '../lib/telemetry/spans.ts'
import { activeSpan, callersContext } from '../lib/telemetry/trace-propagation.ts'
import { version } from '../lib/version.ts'

const kTrace = Symbol('trace')
/** How long the end of the service waits for the SDK to send its last spans (ms). */
const flushMs = 2_000

declare module 'fastify' {
  interface FastifyRequest {
    /** The id of the trace that this request is part of; `null` where nobody said one. */
    traceId: string | null
    [kTrace]: { active: Context, own: Span | null } | null
  }
}

/**
 * Edge phase: knows the trace of a request, and has its id in the request's log lines.
 *
 * With an SDK of OpenTelemetry, the request and its phases are spans. A span that is active already, like that of an
 * instrumentation of HTTP, is the request's own.
 */
export default fp(async (fastify) => {
  const tracer = registeredTracer(version)
  fastify.decorateRequest('traceId', null)
  fastify.decorateRequest(kTrace, null)

  function know (request: FastifyRequest, reply: FastifyReply, traceId: string | null): void {
    request.traceId = traceId
    if (traceId === null) return
    request.log = request.log.child({ traceId })
    reply.log = request.log
  }

  if (tracer === null) {
    fastify.addHook('onRequest', (request, reply, done) => {
      if (request.headers.traceparent !== undefined) know(request, reply, traceIdOf(ofCaller(request)))
      done()
    })
    return
  }

  fastify.addHook('onRequest', (request, reply, done) => {
    const others = activeSpan()
    const { url: route = 'unknown' } = request.routeOptions
    const parent = callersContext(ofCaller(request))
    const own = others !== undefined
      ? null
      : tracer.startSpan(`${request.method} ${route}`, {
        kind: SpanKind.SERVER, attributes: { 'http.request.method': request.method, 'http.route': route }
      }, parent)
    const active = own === null ? context.active() : trace.setSpan(parent, own)
    request[kTrace] = { active, own }
    know(request, reply, (own ?? others)?.spanContext().traceId ?? null)
    enter(active, done)
  })
  // The events of a body that is read are not in the context of the request's first hook.
  fastify.addHook('preValidation', (request, _reply, done) => enter(request[kTrace]?.active, done))
  fastify.onRequestEnd(({ request, reply: { statusCode }, isAnswered }) => {
    const span = request[kTrace]?.own ?? null
    if (span === null) return
    span.setAttribute('http.response.status_code', statusCode)
    if (statusCode >= 500) span.setAttribute('error.type', String(statusCode)).setStatus({ code: SpanStatusCode.ERROR })
    else if (!isAnswered) span.setAttribute('error.type', 'caller_left')
    span.end()
  })
  const end = makeSpansOfPhases(tracer)
  fastify.addHook('onClose', async () => {
    end()
    await flushSpans(flushMs)
  })
}, { name: 'traces', dependencies: ['request-end'] })

const ofCaller = ({ headers }: FastifyRequest) => traceContext(headers, { withBaggage: false })

/** `null` for a `traceparent` that is none. */
const traceIdOf = ({ traceparent }: ReturnType<typeof ofCaller>) => traceparent?.split('-')[1] ?? null

/** Goes on within a context; bound to it, for what is called later. */
function enter (active: Context | undefined, next: () => void): void {
  if (active === undefined) next()
  else context.with(active, next)
}
