import { channel, tracingChannel, type TracingChannel } from 'node:diagnostics_channel'

/** What the subscribers of a phase get: the same object at its start and at its end. */
export interface PhaseContext {
  /** Name of an entry of the servers file. Absent where a phase is about no server. */
  server?: string
  /** Present at the end of a phase that failed. Its text may be a caller's or a server's. */
  error?: unknown
}

export interface CallContext extends PhaseContext {
  /** The tool's name as callers know it. Absent until it is known that there is such a tool. */
  tool?: string
  /** How the call ended: of a reply, its `outcome`. Absent when it failed. */
  outcome?: string
}

export interface OperationContext extends PhaseContext {
  server: string
  /** The method of MCP: `tools/call`. */
  method: string
  /** The tool's name as its server knows it. */
  tool?: string
}

export interface CommandContext extends PhaseContext {
  /** The name of the command; `evalsha` for every script. */
  command: string
}

const phase = <Context extends PhaseContext>(name: string) => tracingChannel<unknown, Context>(`mcp-client:${name}`)

/**
 * The phases of a request, as channels of Node. Metrics and traces subscribe to them; without subscribers a phase costs
 * one comparison. Phases nest: `call` holds all others of a tool call but `session`, which comes before it. `write` may
 * end later, where the reply does not wait for it.
 */
export const phases = {
  /** A session is loaded from Redis. */
  session: phase<PhaseContext>('session'),
  /** A tool call, from its checked body to its reply. */
  call: phase<CallContext>('call'),
  /** A request waits for its turn: to start a process, or to send to a server over HTTP. */
  queue: phase<PhaseContext & { server: string }>('queue'),
  /** A process is started, its handshake included. Also a warm spare, for which no request waits. */
  start: phase<PhaseContext & { server: string }>('start'),
  /** A connection to a server over HTTP is made, its handshake included. */
  connect: phase<PhaseContext & { server: string }>('connect'),
  /** A server is called: the request is sent, its answer is read. One that was refused unread is called again. */
  tool: phase<OperationContext>('tool'),
  /** A server is asked for something else than a tool call: a list, a resource, a prompt, a completion. */
  request: phase<OperationContext>('request'),
  /** What a call leaves behind is written to its session. */
  write: phase<PhaseContext & { server: string }>('write'),
  /** A command of Redis, until its answer. */
  redis: phase<CommandContext>('redis')
}

type Phases = typeof phases
type Context<Name extends keyof Phases> = Phases[Name] extends TracingChannel<unknown, infer Of> ? Of : never

/** Does `work` as a phase. Subscribers may bind an AsyncLocalStorage to its `start`: `work` runs within. */
export function inPhase<Name extends keyof Phases, Value> (
  name: Name, context: Context<Name>, work: () => Promise<Value>
): Promise<Value> {
  const channel = phases[name] as unknown as TracingChannel<unknown, PhaseContext>
  return channel.hasSubscribers ? channel.tracePromise(work, context) : work()
}

/** The same for a command whose promise others wait for: it stays the one that it is. */
export function watchCommand (context: CommandContext, send: () => unknown, answer: Promise<unknown>): unknown {
  const { redis } = phases
  if (!redis.hasSubscribers) return send()
  const sent = redis.start.runStores(context, send)
  answer.then(() => {}, (error: unknown) => {
    context.error = error
    redis.error.publish(context)
  }).finally(() => redis.asyncEnd.publish(context))
  return sent
}

/** How a process of a server ended. */
export interface ProcessEnd {
  server: string
  /**
   * `stopped` because it was to end; `given_up` for what it wrote; `exited` or `killed` by itself; `not_started` where
   * the system could not start it.
   */
  end: 'stopped' | 'given_up' | 'exited' | 'killed' | 'not_started'
}

export interface SessionEvent {
  /** `expired`: this worker found that Redis had let it expire, which may be long after. */
  event: 'opened' | 'renewed' | 'ended' | 'expired'
  count: number
}

/** A call that a session keeps was moved by this worker. `released`: nothing is kept of it any more. */
export interface CallEvent { state: string }

/** What happens at a moment. */
export const events = {
  call: channel('mcp-client:call-event'),
  processEnd: channel('mcp-client:process-end'),
  session: channel('mcp-client:session-event'),
  redisLost: channel('mcp-client:redis-lost'),
  redisRestored: channel('mcp-client:redis-restored')
}

export function tellCall (state: string): void {
  if (events.call.hasSubscribers) events.call.publish({ state } satisfies CallEvent)
}

export function tellSession (event: SessionEvent['event'], count = 1): void {
  if (count > 0 && events.session.hasSubscribers) events.session.publish({ event, count } satisfies SessionEvent)
}
