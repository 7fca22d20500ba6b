import type { PendingCall } from '../calls/pending-calls.ts'
import { MissingValueError, SessionNotFoundError, UnknownContinuationError } from '../errors.ts'
import { type JsonValue, withAdded } from '../json-text.ts'
import type { ToolRequest } from '../mcp/client/server-client.ts'
import type { Session } from '../sessions/session.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { ArgumentChecker, ArgumentFault } from './argument-check.ts'
import { checkArguments, fixedArguments } from './call-arguments.ts'
import { refusedCredential } from './call-errors.ts'
import { type Filled, type Inject, injectParameters, planReads } from './parameter-injection.ts'
import { continuationOf } from './suspended-request.ts'
import type { CatalogTool } from './tool-catalog.ts'

export interface ToolCall {
  session: Session
  /** The tool's name as callers know it. */
  exposedName: string
  tool: CatalogTool
  /** The arguments that the caller sent, an object. */
  params: JsonValue
  inject: Inject
  /** The call will only be described, so the origins of its values are wanted. */
  isDryRun: boolean
  /** Gets the reason why a schema cannot be used to check arguments; see ArgumentChecker. */
  onUnusableSchema: (reason: string) => void
}

type CalledTool = Pick<ToolCall, 'session' | 'exposedName' | 'tool' | 'onUnusableSchema'>

/** A call with all its arguments, ready to be sent to its server. */
export interface PreparedCall extends CalledTool {
  request: Pick<ToolRequest, 'name' | 'args' | 'inputSchema' | 'continuation' | 'task'>
  /** The caller's own arguments as they are sent: the JSON text of an object. */
  own: string
  /** The same, which may fill later calls: JSON texts by name. */
  given: ReadonlyMap<string, string>
  /** Arguments that the session filled in. */
  filled: readonly Filled[]
  /** Names of arguments that callers do not see. */
  hiddenNames: readonly string[]
  /** Arguments that do not fit the tool's input schema, where the policy only warns of them. */
  faults: readonly ArgumentFault[]
}

export interface CallPreparerOptions {
  sessions: Pick<SessionRepository, 'readValues'>
  checker: ArgumentChecker
}

/** Gives calls all their arguments, before their servers are opened. */
export interface CallPreparer {
  /**
   * Fills the call's parameters from its session, and checks them. Rejects with SessionNotFoundError when the session
   * has ended, with MissingCredentialError or MissingValueError when it lacks what the operator wants sent, and with
   * ToolArgumentsError when the arguments do not fit and the policy wants them to.
   */
  prepare: (call: ToolCall) => Promise<PreparedCall>
  /**
   * The call that its server answered with input requests, once more and with the caller's responses. Credentials are
   * those that the session has now. `responses` is the JSON text of an object. Throws UnknownContinuationError when
   * the server's tool is another one by now.
   */
  resume: (call: CalledTool, pending: PendingCall, responses?: string) => PreparedCall
}

export function createCallPreparer ({ sessions, checker }: CallPreparerOptions): CallPreparer {
  async function prepare ({ params, inject, isDryRun, ...call }: ToolCall): Promise<PreparedCall> {
    const { session, exposedName, tool } = call
    if (tool.refusedCredential !== undefined) {
      throw refusedCredential(exposedName, tool.refusedCredential, tool)
    }
    const plan = planReads(params.node, tool, { inject, wantsOrigins: isDryRun })
    const values = plan.length === 0 ? [] : await sessions.readValues(session, plan.map(({ read }) => read))
    if (values === null) throw new SessionNotFoundError(session.id)
    const { args, own, given, filled, hidden } = injectParameters(params, {
      tool,
      values: plan.map((planned, index) => [planned, values[index] ?? null]),
      fixed: fixedArguments(tool, session),
      onMissing: (_, { name, from }) => { throw new MissingValueError(exposedName, name, from) }
    })
    const hiddenNames = [...hidden.keys()]
    return {
      request: { args, ...requestOf(tool) },
      own,
      given,
      filled,
      hiddenNames,
      faults: checkArguments(checker, call, args),
      ...call
    }
  }

  function resume (call: CalledTool, pending: PendingCall, responses?: string): PreparedCall {
    const { session, tool } = call
    if (tool.name !== pending.name) throw new UnknownContinuationError() // the servers have changed since
    const fixed = [...fixedArguments(tool, session)].filter(([name]) => pending.secretNames.includes(name))
    return {
      ...call,
      request: {
        ...requestOf(tool),
        args: withAdded(pending.args, fixed),
        continuation: continuationOf(pending, responses)
      },
      own: '{}',
      given: new Map(), // it was kept when the server requested input
      filled: (pending.filled ?? []).map(name => ({ name, text: 'null', origin: null })),
      hiddenNames: pending.secretNames,
      faults: []
    }
  }

  return { prepare, resume }
}

const requestOf = (
  { name, inputSchema, taskSupport }: CatalogTool
): Pick<ToolRequest, 'name' | 'inputSchema' | 'task'> => ({
  name,
  ...(inputSchema !== undefined && { inputSchema }),
  ...(taskSupport !== undefined && { task: { support: taskSupport } })
})
