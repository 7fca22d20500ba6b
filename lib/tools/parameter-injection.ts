import { textAt } from '../json-pointer.ts'
import { editedText, type JsonNode, type JsonValue, removalsOf, textOf, withAdded } from '../json-text.ts'
import { callerOrigin } from '../value-origin.ts'
import type { SessionSource } from '../mcp/servers-file/value-policy.ts'
import type { KeptValue, ValueOrigin, ValueRead } from '../sessions/values.ts'
import { type CatalogTool, isFillable } from './tool-catalog.ts'

/** Which gaps a caller wants filled: all that the tool's policy allows, none, or those of these names. */
export type Inject = boolean | readonly string[]

/** A part of a call that is read from its session: a gap, or an argument that the operator gives. */
export interface PlannedRead {
  /** Name of the argument. */
  argument: string
  read: ValueRead
  /** Present for an argument of the operator's. */
  source?: SessionSource
}

export interface PlanOptions {
  inject: Inject
  /** The origins of the values are wanted, too. */
  wantsOrigins: boolean
}

/**
 * What a call reads from its session. A gap is a parameter that the tool's policy fills and the caller did not send; an
 * explicit `null` is sent.
 */
export function planReads (
  params: JsonNode | null, tool: CatalogTool, { inject, wantsOrigins: wantsOrigin }: PlanOptions
): PlannedRead[] {
  const { policy, serverPolicy: { acceptsUnknown } } = tool
  const sent = new Set(params?.members?.map(({ name }) => name))
  const wanted = typeof inject === 'boolean' ? null : new Set(inject)
  const isWanted = (name: string) => wanted?.has(name) ?? true
  const gaps = policy.fill === 'none' || inject === false
    ? []
    : tool.declared.filter(name => !sent.has(name) && isFillable(tool, name) && isWanted(name))
  const sources = [...policy.sources].flatMap(([argument, source]) => {
    if (source.kind !== 'session') return []
    const { name, from } = source
    return [{ argument, source, read: { name, from: [from], acceptsUnknown: false, wantsOrigin: true } }]
  })
  return [
    ...gaps.map(name => ({ argument: name, read: { name, from: policy.from, acceptsUnknown, wantsOrigin } })),
    ...sources
  ]
}

/** An argument that was filled in, as its caller may know it. */
export interface Filled {
  name: string
  text: string
  /** `null` where it is not known. */
  origin: ValueOrigin | null
}

export interface Injection {
  /** The arguments that the tool is called with: the JSON text of an object. */
  args: string
  /** The arguments that the caller sent and may send, as they were written: the JSON text of an object. */
  own: string
  /** The same, which may fill later calls: JSON texts by name. */
  given: ReadonlyMap<string, string>
  filled: readonly Filled[]
  /** Arguments that callers do not see: JSON texts by name. */
  hidden: ReadonlyMap<string, string>
}

/**
 * Whether a value may be an argument of the operator's. One that its caller could have chosen may be one only where the
 * operator says so.
 */
function isTrusted ({ from, isWritable }: SessionSource, value: KeptValue | null): value is KeptValue {
  if (value === null) return false
  return isWritable || value.origin?.as === (from === callerOrigin ? 'init' : 'result')
}

export interface InjectionSources {
  tool: CatalogTool
  /** Values that were read, each with its plan. */
  values: ReadonlyArray<readonly [PlannedRead, KeptValue | null]>
  /** Credentials and constants of the operator, as JSON texts by name. */
  fixed: ReadonlyMap<string, string>
  /** An argument of the operator's that the session must have and has not. Throws. */
  onMissing: (argument: string, source: SessionSource) => never
}

/**
 * Merges the arguments that the caller sent, an object, with what the operator gives and the session knows.
 *
 * An argument that the caller sent under a hidden name is dropped: it comes from the operator or the session's
 * credentials and only from there. A cached value fills a gap. Everything else stays as the caller wrote it.
 */
export function injectParameters (params: JsonValue, sources: InjectionSources): Injection {
  const { tool: { hidden: hiddenNames }, values, fixed, onMissing } = sources
  const isHidden = ({ name }: { name: string }) => hiddenNames.has(name)
  const filled: Filled[] = []
  const hidden = new Map(fixed)
  for (const [{ argument, source }, value] of values) {
    if (source === undefined) {
      if (value !== null) filled.push({ name: argument, ...value })
      continue
    }
    const text = isTrusted(source, value) ? textAt(value.text, source.pointer) : null
    if (text !== null) hidden.set(argument, text)
    else if (!source.isOptional) onMissing(argument, source)
  }
  const own = editedText(params, removalsOf(params.node, isHidden))
  const kept = params.node.members?.filter(member => !isHidden(member)) ?? []
  return {
    args: withAdded(own, [...filled.map(({ name, text }) => [name, text] as const), ...hidden]),
    own,
    given: new Map(kept.map(({ name, value }) => [name, textOf(params.document, value)])),
    filled,
    hidden
  }
}
