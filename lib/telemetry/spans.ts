import { AsyncLocalStorage } from 'node:async_hooks'
import type { ChannelListener, TracingChannel } from 'node:diagnostics_channel'
import {
  type Attributes, type Context, context, ProxyTracerProvider, type Span, SpanKind, SpanStatusCode, trace, type Tracer
} from '@opentelemetry/api'
import { withDeadline } from '../cancellation.ts'
import { type CallContext, type CommandContext, type OperationContext, type PhaseContext, phases } from './channels.ts'
import { activeSpan } from './trace-propagation.ts'

const kSpan = Symbol('span')
interface Spanned { [kSpan]?: Span }

interface Description { name: string, kind: SpanKind, attributes: Attributes }

/**
 * The tracer of the SDK that somebody has registered, by `node --import`, before the service is loaded; `null` without
 * one.
 */
export function registeredTracer (version: string): Tracer | null {
  const provider = trace.getTracerProvider()
  const isRegistered = !(provider instanceof ProxyTracerProvider) ||
    provider.getDelegateTracer('mcp-client-service') !== undefined
  return isRegistered ? trace.getTracer('mcp-client-service', version) : null
}

/** What a provider of an SDK can do besides what the API says. */
interface Flushing { forceFlush?: () => Promise<void> }

/**
 * Has the SDK send the spans that it still holds, since the process ends without its knowing. Waits for `milliseconds`
 * at most. Never rejects: a collector that is away costs the spans, and not the service's end.
 */
export async function flushSpans (milliseconds: number): Promise<void> {
  const provider = trace.getTracerProvider()
  // The proxy may be that of another copy of the API.
  const sdk = ('getDelegate' in provider ? (provider as ProxyTracerProvider).getDelegate() : provider) as Flushing
  await withDeadline(
    Promise.resolve().then(() => sdk.forceFlush?.()), milliseconds, () => new Error('the spans were not sent in time')
  ).catch(() => {}) // the SDK tells its own logger what became of them
}

/**
 * Makes a span of each phase that happens within a span, as its child. What happens in no request has none, like a
 * spare that is started or a probe of Redis. Returns how to end that.
 */
export function makeSpansOfPhases (tracer: Tracer): () => void {
  const ends: Array<() => void> = []

  function onPhase<Of extends PhaseContext> (
    channel: TracingChannel<unknown, Of>, describe: (phase: Of) => Description, finish?: (phase: Of, span: Span) => void
  ): void {
    const store = createActiveContext()
    const open = (phase: Of & Spanned): Context => {
      if (activeSpan() === undefined) return context.active()
      const { name, ...options } = describe(phase)
      const span = tracer.startSpan(name, options)
      phase[kSpan] = span
      return trace.setSpan(context.active(), span)
    }
    const close = (phase: Of & Spanned) => {
      const span = phase[kSpan]
      if (span === undefined) return
      if (phase.error !== undefined) markFailed(span, phase.error)
      finish?.(phase, span)
      span.end()
    }
    channel.start.bindStore(store, open as (phase: unknown) => Context)
    channel.asyncEnd.subscribe(close as ChannelListener)
    ends.push(() => {
      channel.start.unbindStore(store)
      channel.asyncEnd.unsubscribe(close as ChannelListener)
    })
  }

  const ofServer = (name: string, kind = SpanKind.INTERNAL) => ({ server }: PhaseContext): Description =>
    ({ name, kind, attributes: { ...(server !== undefined && { 'mcp_client.server': server }) } })

  onPhase(phases.session, ofServer('load session'))
  onPhase(phases.call, ofServer('execute_tool'), ({ server, tool, outcome }: CallContext, span) => {
    span.setAttributes({
      'gen_ai.operation.name': 'execute_tool',
      ...(tool !== undefined && { 'gen_ai.tool.name': tool }),
      ...(server !== undefined && { 'mcp_client.server': server }),
      ...(outcome !== undefined && { 'mcp_client.outcome': outcome })
    })
    if (tool !== undefined) span.updateName(`execute_tool ${tool}`)
    if (outcome === 'tool_error') span.setAttribute('error.type', outcome).setStatus({ code: SpanStatusCode.ERROR })
  })
  onPhase(phases.queue, ofServer('wait for turn'))
  onPhase(phases.start, ofServer('start server'))
  onPhase(phases.connect, ofServer('connect to server'))
  onPhase(phases.tool, describeOperation)
  onPhase(phases.request, describeOperation)
  onPhase(phases.write, ofServer('write session'))
  onPhase(phases.redis, ({ command }: CommandContext) => ({
    name: command,
    kind: SpanKind.CLIENT,
    attributes: { 'db.system.name': 'redis', 'db.operation.name': command }
  }))

  return () => ends.splice(0).forEach(end => end())
}

/** @see https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md */
const describeOperation = ({ server, method, tool }: OperationContext): Description => ({
  name: tool === undefined ? method : `${method} ${tool}`,
  kind: SpanKind.CLIENT,
  attributes: {
    'mcp.method.name': method,
    'mcp_client.server': server,
    ...(tool !== undefined && { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': tool })
  }
})

/** Marks a span as failed. No message: its text may be a caller's or a server's. */
export function markFailed (span: Span, error: unknown): void {
  span.setAttribute('error.type', typeOf(error)).setStatus({ code: SpanStatusCode.ERROR })
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (typeof code === 'number') span.setAttribute('rpc.response.status_code', String(code))
}

/** A code of lib/errors.ts, or the class of an error. */
function typeOf (error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^MCPC_ERR_[A-Z_]+$/.test(code) ? code : error.constructor.name || '_OTHER'
}

/** A store for `bindStore` that holds the SDK's own active context, so that other instrumentation sees our spans. */
function createActiveContext (): AsyncLocalStorage<Context> {
  const store = new AsyncLocalStorage<Context>()
  store.run = (active: Context, work: (...args: unknown[]) => unknown, ...args: unknown[]) =>
    context.with(active, () => work(...args))
  return store
}
