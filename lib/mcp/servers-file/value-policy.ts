import type { JsonObject } from '../../json.ts'
import { callerOrigin } from '../../value-origin.ts'

/** Parameters of a call that may be filled in where the caller does not send them. */
export type Fill = 'declared' | 'required' | 'none'

/** The form of a reply. */
export type ResultShape = 'default' | 'json' | 'mcp'

/** What happens to a call whose arguments do not fit its tool's input schema. */
export type ArgumentValidation = 'off' | 'warn' | 'on'

/** Where an argument comes from that the operator gives to a tool. */
export type ArgumentSource = OperatorSource | SessionSource

/** A constant, or a text with credentials of the session. */
export interface OperatorSource {
  readonly kind: 'operator'
  readonly credentialNames: readonly string[]
  /** The operator's own words, placeholders and variables included: secret, only a hash of it may leave. */
  readonly content: () => unknown
  /**
   * The argument as JSON text. Credentials are given as values, and as the JSON texts that were sent. Throws
   * MissingCredentialError.
   */
  readonly fill: (credentials: JsonObject, credentialTexts: ReadonlyMap<string, string>) => string
}

/** A cached value of the session, or a part of one. */
export interface SessionSource {
  readonly kind: 'session'
  readonly name: string
  /** The server that was sent the value or gave it, or `caller`. */
  readonly from: string
  /** JSON Pointer into the value, '' for all of it. @see https://www.rfc-editor.org/rfc/rfc6901 */
  readonly pointer: string
  /** Callers may set and remove the value with /session/values. */
  readonly isWritable: boolean
  /** The argument is left out where the session has no such value; otherwise the call is refused. */
  readonly isOptional: boolean
}

/** What is kept of one tool's calls, and what its calls are filled with. */
export interface ToolPolicy {
  readonly keepsParameters: boolean
  readonly keepsResults: boolean
  readonly fill: Fill
  /** The origins whose values may fill: names of servers, and `caller`. */
  readonly from: readonly string[]
  /** Arguments that the operator gives, by name. Callers neither see nor send them. */
  readonly sources: ReadonlyMap<string, ArgumentSource>
  /** Parameters that the session is known to fill, beside those that other tools say that they give. */
  readonly filled: readonly string[]
}

/**
 * What decides about a session's values at one server. `chain` is what the Flask service did: everything is kept, every
 * gap is filled. `none` keeps and fills nothing.
 */
export interface ServerPolicy extends ToolPolicy {
  readonly kind: 'chain' | 'none' | 'custom'
  /** Values whose origin is not known may fill, too. */
  readonly acceptsUnknown: boolean
  /** Credentials that a tool gets when it declares them; `declared` for all of the session's. */
  readonly credentials: readonly string[] | 'declared'
  readonly result: ResultShape
  readonly validation: ArgumentValidation
  /** Tools that differ from this, by their own names. */
  readonly tools: ReadonlyMap<string, ToolPolicy>
}

/** A policy as plain data, for the identity of its server. Secret: only a hash of it may leave. */
export function policyContent ({ tools, sources, ...policy }: ServerPolicy): unknown {
  return { ...policy, tools: [...tools].map(([name, tool]) => [name, toolContent(tool)]) }
}

const toolContent = ({ sources, ...policy }: ToolPolicy) => ({
  ...policy,
  sources: [...sources].map(([name, source]) => [name, source.kind === 'operator' ? source.content() : source])
})

/** A policy for the log: what an operator must know of it, without the sources' own words. */
export function describePolicy (policy: ServerPolicy): JsonObject {
  return {
    values: policy.kind,
    ...describeTool(policy),
    // Not `credentials`, which the log hides as if it held some.
    credentialNames: policy.credentials,
    result: policy.result,
    validateArguments: policy.validation,
    ...(policy.tools.size > 0 && {
      tools: Object.fromEntries([...policy.tools].map(([name, tool]) => [name, {
        ...describeTool(tool), ...(tool.sources.size > 0 && { arguments: [...tool.sources.keys()] })
      }]))
    })
  }
}

const describeTool = ({ keepsParameters, keepsResults, fill, from }: ToolPolicy) => ({
  keep: keepsParameters ? (keepsResults ? 'both' : 'parameters') : (keepsResults ? 'results' : 'neither'),
  fill,
  ...(fill !== 'none' && { from })
})

/** The policy of `MCP_SERVER_SCRIPT`, and of an entry that says `chain`. */
export const chainPolicy = (server: string): Omit<ServerPolicy, 'validation'> => ({
  kind: 'chain',
  keepsParameters: true,
  keepsResults: true,
  fill: 'declared',
  from: [server, callerOrigin],
  acceptsUnknown: true,
  sources: new Map(),
  filled: [],
  credentials: 'declared',
  result: 'default',
  tools: new Map()
})

/** The policy of a server that is not run. */
export const emptyPolicy = (server: string): ServerPolicy => ({
  kind: 'none',
  keepsParameters: false,
  keepsResults: false,
  fill: 'none',
  from: [server],
  acceptsUnknown: false,
  sources: new Map(),
  filled: [],
  credentials: [],
  result: 'default',
  validation: 'off',
  tools: new Map()
})
