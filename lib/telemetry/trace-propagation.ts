import {
  type Context, context, createTraceState, isSpanContextValid, ROOT_CONTEXT, type Span, trace
} from '@opentelemetry/api'

/** Values of the headers `traceparent`, `tracestate` and `baggage`, by name. */
type Carrier = Readonly<Record<string, string>>

/**
 * What a server is told of the trace: the span that is active now, so that its own spans are children of that one.
 * Without a span, what the caller said. Baggage stays as the caller sent it.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export function outgoingTrace (ofCaller: Carrier | undefined): Carrier | undefined {
  const span = activeSpan()
  if (span === undefined) return ofCaller
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  const tracestate = traceState?.serialize() ?? ''
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    ...(tracestate !== '' && { tracestate }),
    ...(ofCaller?.baggage !== undefined && { baggage: ofCaller.baggage })
  }
}

/** The context of a request whose caller said these values, which have the form of the specification. */
export function callersContext ({ traceparent, tracestate }: Carrier): Context {
  const [, traceId = '', spanId = '', flags = ''] = traceparent?.split('-') ?? []
  if (traceId === '') return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: parseInt(flags, 16) & 1,
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) })
  })
}

/** The span that is active now; none without an SDK. */
export function activeSpan (): Span | undefined {
  const span = trace.getSpan(context.active())
  return span !== undefined && isSpanContextValid(span.spanContext()) ? span : undefined
}
