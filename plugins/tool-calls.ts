import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { PendingCall } from '../lib/calls/pending-calls.ts'
import {
  type Acted, CallNotWaitingError, InvalidFieldError, UnknownCallError, UnknownContinuationError, UnknownToolError
} from '../lib/errors.ts'
import type { EventWriter } from '../lib/http/event-stream.ts'
import { objectText, textOf } from '../lib/json-text.ts'
import type { ResultShape } from '../lib/mcp/servers-file/value-policy.ts'
import { mayRefer, withReferences } from '../lib/results/argument-references.ts'
import { contentOfReply } from '../lib/results/reply-content.ts'
import { createArgumentChecker } from '../lib/tools/argument-check.ts'
import { createToolCaller, type ReplyToKeep, type ToolReply } from '../lib/tools/call-tool.ts'
import type { TaskWish } from '../lib/mcp/client/tool-call.ts'
import { createWatcher } from '../lib/tools/call-watcher.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import { describeCall } from '../lib/tools/dry-run.ts'
import type { Inject } from '../lib/tools/parameter-injection.ts'
import { createCallPreparer, type PreparedCall } from '../lib/tools/prepare-call.ts'
import { sentArguments } from '../lib/tools/sent-arguments.ts'
import type { CatalogTool } from '../lib/tools/tool-catalog.ts'
import { type CallContext, inPhase } from '../lib/telemetry/channels.ts'
import type { AcceptedReply } from './async-calls.ts'
import { isHandedOn } from './held-calls.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Calls a tool for this request's session, or resumes a call that waits for input. The arguments are the body's
     * `params` or the whole body, and the responses to the server's input requests its `responses`.
     */
    callTool: (call: ToolCallRequest) => Promise<CallReply>
  }
}

/** A call that was made, or that was only described. */
export type CallReply = ToolReply | AcceptedReply | { body: string, outcome: 'dry_run', notCached: [] }

export interface ToolCallRequest {
  tool?: string | undefined
  /** How long the tool may take (s), where that is less than the settings say. */
  timeout?: number | undefined
  /** Token of the call to resume, or its id. */
  continue?: string | { id: string } | undefined
  /** Which gaps are filled; all that the tool's policy allows where nothing is said. */
  inject?: Inject | undefined
  /** The arguments are the whole body, and not only its `params`. */
  isWholeBody?: boolean | undefined
  /** The call is described and not made. */
  dryRun?: boolean | undefined
  /** Name of the receiver that is told when the call is over. Only for a call whose caller does not wait. */
  notify?: string | undefined
  /** The form of the reply, where it is another one than the server's policy says. */
  shape?: ResultShape | undefined
  /** Whether the result is kept and referred to; only a long one where nothing is said. */
  reference?: boolean | undefined
  /** Receives facts about the call for the header of the answer, also when the call fails later. */
  note: (name: string, value: string) => void
  /** Receives what happens while the tool runs. */
  events?: Pick<EventWriter, 'send'>
}

/** Operations phase: calls the tools of the MCP servers. */
export default fp(async (fastify) => {
  const { sessions, calls, pendingCalls, config } = fastify
  const { sensitiveParams, cacheResults, maxResultNames, elicitation } = config
  const checker = createArgumentChecker()
  const preparer = createCallPreparer({ sessions, checker })
  const caller = createToolCaller({
    sessions,
    pendingCalls: elicitation ? pendingCalls : null,
    sensitiveParams,
    maxValueBytes: config.session.maxBytes,
    cacheResults,
    maxResultNames,
    checker
  })

  fastify.decorateRequest('callTool', function (call) {
    this.setTurn({ priority: 'call', callTimeoutMs: (call.timeout ?? Infinity) * 1000 })
    const context: CallContext = {}
    const reply = inPhase('call', context, async () => {
      const reply = await settlingFailure(this, makeCall(this, call, context))
      context.outcome = reply.outcome
      return reply
    })
    // The audit log has a failure's code already.
    const settled = reply.then(({ outcome }) => this.audit({ outcome }), () => {})
    // The handler goes on when its caller leaves: what it still writes must be done before Redis is closed.
    this.defer(() => settled)
    return reply
  })

  function makeCall (request: FastifyRequest, call: ToolCallRequest, context: CallContext): Promise<CallReply> {
    const { continue: token, notify } = call
    const isAccepted = request.wantsAsync
    if (notify !== undefined) checkNotify(notify, isAccepted)
    if (token !== undefined) return resume(request, call, token, context)
    return isAccepted ? accept(request, call) : begin(request, call, context)
  }

  function checkNotify (notify: string, isAccepted: boolean): void {
    if (!isAccepted) throw new InvalidFieldError('notify', 'absent in a request that waits for its result')
    fastify.webhooks.checkReceiver(notify)
  }

  /** The request is kept as `/call-tool` takes it, wherever it came from, but for its session. */
  async function accept (request: FastifyRequest, call: ToolCallRequest): Promise<CallReply> {
    const { tool = '', timeout, inject, shape, reference, notify, note } = call
    if (request.servers.byExposedName(tool) === null) throw new UnknownToolError(tool)
    const { document, node } = sentArguments(request.bodyDocument, call)
    const others = Object.entries({ timeout, inject, result: shape, reference })
      .filter(([, value]) => value !== undefined)
    return await request.acceptCall(objectText([
      ['session_id', JSON.stringify(request.session.id)],
      ['tool', JSON.stringify(tool)],
      ['params', textOf(document, node)],
      ...others.map(([name, value]) => [name, JSON.stringify(value)] as const)
    ]), notify ?? null, note)
  }

  /** A failure is answered once its call is settled: who sends the request again must not find it running. */
  async function settlingFailure (request: FastifyRequest, reply: Promise<CallReply>): Promise<CallReply> {
    request.beginHeldCall()
    try {
      return await reply
    } catch (error) {
      await request.settleFailedCall(error)
      throw error
    }
  }

  async function begin (request: FastifyRequest, call: ToolCallRequest, context: CallContext): Promise<CallReply> {
    const { tool: exposedName = '', inject = true, dryRun: isDryRun = false, isWholeBody = false } = call
    const server = request.servers.byExposedName(exposedName)
    const tool = server && await findTool(request, server, exposedName, context)
    if (server === null || tool === null) throw new UnknownToolError(exposedName)
    const { session } = request
    const params = sentArguments(request.bodyDocument, call)
    if (config.audit !== 'off') {
      request.audit({ arguments: fastify.argumentsForLog(textOf(params.document, params.node)) })
    }
    const onUnusableSchema = (reason: string) => request.noteUnusableSchema(reason)
    const { params: args, referred } = mayRefer(params)
      ? await request.resolveReferences(params, isWholeBody ? '' : 'params.')
      : { params, referred: [] }
    const prepared = await preparer.prepare({
      session, exposedName, tool, params: args, inject, isDryRun, onUnusableSchema
    })
    if (isDryRun) {
      const own = withReferences(prepared.own, referred)
      return { body: describeCall({ ...prepared, own }, referred), outcome: 'dry_run', notCached: [] }
    }
    return await run(request, server, prepared, call)
  }

  async function resume (
    request: FastifyRequest, call: ToolCallRequest, token: NonNullable<ToolCallRequest['continue']>,
    context: CallContext
  ): Promise<ToolReply> {
    const taken = await pendingCalls.take(request.session, 'tool', token)
    if (taken === null) throw await reasonNotTaken(request, token)
    const { request: pending, held } = taken
    if (held !== null) request.holdCall(held)
    request.beginHeldCall()
    // The server got an earlier round of this call, so the tool may have acted before it requested input.
    return await goOn(request, call, pending, context).catch(throwWith('unknown'))
  }

  /** A call that waited a moment ago was responded to, or cancelled, by another request. */
  async function reasonNotTaken ({ session }: FastifyRequest, token: NonNullable<ToolCallRequest['continue']>) {
    if (typeof token === 'string') return new UnknownContinuationError()
    const call = await calls.read(session, token.id)
    return call === null ? new UnknownCallError() : new CallNotWaitingError(call.state)
  }

  async function goOn (
    request: FastifyRequest, call: ToolCallRequest, pending: PendingCall, context: CallContext
  ): Promise<ToolReply> {
    const { session } = request
    const { tool: exposedName } = pending
    const server = request.servers.byExposedName(exposedName)
    const tool = server && await findTool(request, server, exposedName, context)
    if (server === null || tool === null) throw new UnknownContinuationError()
    const prepared = preparer.resume({
      session, exposedName, tool, onUnusableSchema: reason => request.noteUnusableSchema(reason)
    }, pending, request.fieldText('responses'))
    return await run(request, server, prepared, call)
  }

  async function findTool (
    request: FastifyRequest, server: CatalogedServer, exposedName: string, context: CallContext
  ): Promise<CatalogTool | null> {
    context.server = server.name
    // A server that fails while it lists its tools has called none of them.
    const tool = request.peekTool(server, exposedName) ??
      await request.findTool(server, exposedName).catch(throwWith('no'))
    // Log only names of tools that exist; an unknown name may hold anything.
    if (tool !== null) {
      request.audit({ tool: exposedName, server: server.name })
      context.tool = exposedName
    }
    return tool
  }

  async function run (
    request: FastifyRequest,
    server: CatalogedServer,
    call: PreparedCall,
    { timeout = Infinity, shape, reference, note, events = request.asyncCall?.events }: ToolCallRequest
  ): Promise<ToolReply> {
    const notes: Record<string, string> = {}
    const noteToo = (name: string, value: string) => {
      notes[name] = value
      note(name, value)
    }
    const { heldCall: held, session } = request
    const endWith = ({ body, form, leftOut }: ReplyToKeep) => {
      if (held === null) return null
      const headers = { ...notes, ...(form !== undefined && { 'x-mcp-result': resultHeader(form, leftOut) }) }
      return calls.completed(session, held, { statusCode: 200, headers, body })
    }
    const refer = request.referring(reference, noteToo)
    request.noteArguments(call, noteToo)
    const mask = request.maskFor(server)
    const reply = await request.useServer(server, 'call', (client, limits) => caller.run(call, {
      client,
      shape,
      limits: timeout === Infinity ? limits : { ...limits, timeoutMs: Math.min(limits.timeoutMs, timeout * 1000) },
      mask,
      watcher: events && createWatcher(events, mask),
      task: taskWishOf(request),
      held,
      endWith,
      refer: refer === null ? undefined : ({ body, form }) => refer(body, () => contentOfReply(body, form)),
      onUnfinished: written => request.defer(() => written),
      onNotCached: err => request.log.warn({ err, tool: call.exposedName }, 'the values of a call could not be kept')
    }))
    request.noteCallSettled(reply.outcome === 'input_required' ? reply.outcome : 'completed')
    if (reply.form !== undefined) note('x-mcp-result', resultHeader(reply.form, reply.leftOut))
    return reply
  }
}, {
  name: 'tool-calls',
  dependencies: [
    'config', 'redis', 'json-body', 'audit', 'after-response', 'session', 'request-clients', 'masking',
    'server-requests', 'async-requests', 'held-calls', 'async-calls', 'webhooks', 'results',
    'call-facts'
  ]
})

/** A call that its caller does not wait for is run as a task where it can be: another worker can go on with that. */
function taskWishOf (request: FastifyRequest): Omit<TaskWish, 'support'> | undefined {
  if (request.asyncCall === null) return undefined
  const { task } = request.asyncCall
  return {
    isPreferred: true,
    ...(task.begun !== undefined && { begun: task.begun }),
    onBegun: async begun => await task.keep(begun).catch(err => {
      request.log.warn({ err }, 'the task of a call could not be recorded')
    }),
    isHandedOn: () => isHandedOn(request)
  }
}

/** A structured field (RFC 8941): the form, and what the reply leaves out. */
const resultHeader = (form: string, leftOut: readonly string[]) =>
  leftOut.length === 0 ? form : `${form};left-out="${leftOut.join(' ')}"`

/** Throws an error that says whether the tool can have acted. */
const throwWith = (acted: Acted) => (error: unknown): never => {
  throw error instanceof Error ? Object.assign(error, { acted }) : error
}
