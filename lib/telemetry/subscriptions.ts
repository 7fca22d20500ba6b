import type { ChannelListener, TracingChannel } from 'node:diagnostics_channel'
import {
  type CallContext, type CallEvent, type CommandContext, events, type OperationContext, type PhaseContext, phases,
  type ProcessEnd, type SessionEvent
} from './channels.ts'
import type { Instruments } from './instruments.ts'
import { createToolLabels, other } from './tool-labels.ts'

/** How many tools of one server have labels of their own. */
const mostTools = 50

type PhaseName = keyof typeof phases

/** On the phase's own object: a WeakMap costs the collector more than all the rest. */
const kStartedAt = Symbol('startedAt')
interface Started { [kStartedAt]?: number }

/** Feeds the instruments from the channels. Returns how to end that. */
export function subscribe (instruments: Instruments): () => void {
  const { active, calls, callStates, commands, operations, processEnds, sessionEvents, sessionLoads } = instruments
  const exposedTool = createToolLabels(mostTools)
  const ownTool = createToolLabels(mostTools)
  const ends: Array<() => void> = []

  function onEnd<Context extends PhaseContext> (
    name: PhaseName, channel: TracingChannel<unknown, Context>, record: (context: Context, seconds: number) => void
  ): void {
    const gauge = active.labels({ phase: name })
    gauge.set(0)
    const start = (context: Started) => {
      context[kStartedAt] = performance.now()
      gauge.inc()
    }
    const asyncEnd = (context: Started) => {
      const began = context[kStartedAt]
      if (began === undefined) return // it began before these metrics
      gauge.dec()
      record(context as unknown as Context, (performance.now() - began) / 1000)
    }
    // Only these two: a subscriber of `end` and `asyncStart` would be called for nothing.
    channel.start.subscribe(start as ChannelListener)
    channel.asyncEnd.subscribe(asyncEnd as ChannelListener)
    ends.push(() => {
      channel.start.unsubscribe(start as ChannelListener)
      channel.asyncEnd.unsubscribe(asyncEnd as ChannelListener)
    })
  }

  const observe = (phase: PhaseName) => ({ server = '' }: PhaseContext, seconds: number) =>
    instruments.phases.observe({ phase, server }, seconds)

  function on<Message> (channel: typeof events[keyof typeof events], listener: (message: Message) => void): void {
    channel.subscribe(listener as ChannelListener)
    ends.push(() => { channel.unsubscribe(listener as ChannelListener) })
  }

  onEnd('session', phases.session, (context, seconds) => {
    sessionLoads.inc({ outcome: context.error === undefined ? 'loaded' : codeOf(context.error) })
    observe('session')(context, seconds)
  })
  onEnd('call', phases.call, (context: CallContext, seconds) => {
    const { server = other, tool, outcome = 'error', error } = context
    calls.inc({
      server, tool: exposedTool(server, tool), outcome, error_type: error === undefined ? '' : codeOf(error)
    })
    observe('call')({ server }, seconds)
  })
  for (const name of ['queue', 'start', 'connect', 'write'] as const) onEnd(name, phases[name], observe(name))
  for (const name of ['tool', 'request'] as const) {
    onEnd(name, phases[name], (context: OperationContext, seconds) => {
      const { server, method, tool, error } = context
      operations.observe({
        server,
        mcp_method_name: method,
        gen_ai_tool_name: tool === undefined ? '' : ownTool(server, tool),
        error_type: classOf(error)
      }, seconds)
      observe(name)(context, seconds)
    })
  }
  onEnd('redis', phases.redis, ({ command, error }: CommandContext, seconds) => {
    commands.observe({ db_system_name: 'redis', db_operation_name: command, error_type: classOf(error) }, seconds)
  })

  on<ProcessEnd>(events.processEnd, ({ server, end }) => processEnds.inc({ server, end }))
  on<CallEvent>(events.call, ({ state }) => callStates.inc({ state }))
  on<SessionEvent>(events.session, ({ event, count }) => sessionEvents.inc({ event }, count))
  instruments.isRedisUp.set(1)
  on(events.redisLost, () => {
    instruments.outages.inc()
    instruments.isRedisUp.set(0)
  })
  on(events.redisRestored, () => instruments.isRedisUp.set(1))

  return () => ends.splice(0).forEach(end => end())
}

/** A code of lib/errors.ts; never a text that a server or a caller wrote. */
function codeOf (error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^MCPC_ERR_[A-Z_]+$/.test(code) ? code : other
}

/** The class of an error: there are as many as the code has. */
const classOf = (error: unknown) =>
  error === undefined ? '' : error instanceof Error ? error.constructor.name || other : other
