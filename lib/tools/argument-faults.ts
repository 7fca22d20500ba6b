import type { ErrorObject } from 'ajv'
import { isJsonObject, type JsonObject } from '../json.ts'
import { escapeToken, unescapeToken } from '../json-pointer.ts'
import { mapSubschemas, resolveReference } from './json-schema.ts'

/** What is wrong with one argument. */
export interface ArgumentFault {
  /**
   * JSON Pointer (RFC 6901) of the value within the arguments. A property that must not be there, or is missing, is
   * named in it.
   */
  pointer: string
  /** What the value must be, in ASCII. Never quotes a value of the arguments. */
  message: string
  /**
   * The top-level argument that is at fault; `null` where the arguments as a whole are (a missing one, a `oneOf` at the
   * top).
   */
  argument: string | null
  /** A required argument is not there; the others may fit. */
  isMissing: boolean
}

/** Most faults that are listed. */
const maxFaults = 20
/** Most errors that are sorted by the alternatives that they belong to. */
const maxErrors = 500
/** Longest list of allowed values, or pattern, that a message quotes from the schema (characters). */
const maxQuoteLength = 200
const forbidden = 'must not be there'

interface Entry {
  error: ErrorObject
  /** Whether the value cannot fit while this is wrong, which the error of one alternative of several does not say. */
  isFirm: boolean
  message: string
}

/** Whether there are too many errors to be listed. */
export const areTooMany = (errors: ErrorObject[]) => errors.length > maxErrors

/**
 * The faults that Ajv's errors (verbose, in its order) tell, at most 20 and none twice. A value that fits none of
 * several alternatives has the faults of the one that it comes close to, when there is one.
 */
export function faultsOf (errors: ErrorObject[], root: JsonObject): ArgumentFault[] {
  const entriesOf = (error: ErrorObject): Entry => ({ error, isFirm: true, message: messageOf(error) })
  // The last error is that of the outermost schema.
  let entries: Entry[] = areTooMany(errors) ? errors.slice(-1).map(entriesOf) : []
  if (entries.length === 0) for (const error of errors) entries = withError(entries, entriesOf(error), root)
  const faults = new Map(entries.map(toFault).map(fault => [`${fault.pointer} ${fault.message}`, fault]))
  return [...faults.values()].slice(0, maxFaults)
}

/** Adds an error that comes after those of the schemas within its keyword: it may stand for them, or they for it. */
function withError (entries: Entry[], added: Entry, root: JsonObject): Entry[] {
  const { keyword, instancePath } = added.error
  const branches = branchesOf(added.error).map(branch => schemasWithin(branch, root))
  const isWithin = ({ error }: Entry) => `${error.instancePath}/`.startsWith(`${instancePath}/`)
  const belongsTo = (entry: Entry, branch: ReadonlySet<unknown>) => branch.has(entry.error.parentSchema)
  const inner = entries.filter(entry => isWithin(entry) && branches.some(branch => belongsTo(entry, branch)))
  if (keyword === 'if' || keyword === 'propertyNames') return inner.length > 0 ? entries : [...entries, added]
  const others = entries.filter(entry => !inner.includes(entry))
  if (keyword === 'anyOf' || (keyword === 'oneOf' && added.error.params.passingSchemas === null)) {
    const told = inner.map(entry => ({ ...entry, isFirm: false }))
    return [...others, ...closest(added, branches.map(branch => told.filter(entry => belongsTo(entry, branch))))]
  }
  return [...others, added]
}

/** The errors of the only alternative that is for such a value, else one error that says what there is. */
function closest (added: Entry, alternatives: Entry[][]): Entry[] {
  const isAt = ({ error }: Entry) => error.instancePath === added.error.instancePath
  const isNever = (entry: Entry) => entry.message === forbidden && isAt(entry)
  const isOther = (entry: Entry) => isNever(entry) || entry.error.keyword === 'const' ||
    entry.error.keyword === 'enum' || (entry.error.keyword === 'type' && isAt(entry))
  const fitting = alternatives.filter(entries => entries.length > 0 && !entries.some(isOther))
  if (fitting.length === 1) return fitting[0] ?? []
  const all = alternatives.flat().filter(entry => !isNever(entry))
  const messages = [...new Set(all.map(entry => entry.message))]
  const isPlain = all.every(entry => isAt(entry) && isOther(entry)) && messages.length > 0
  const message = messages.join(' or ')
  return [isPlain && message.length <= 2 * maxQuoteLength ? { ...added, message } : added]
}

/** The schemas in the keyword of an error whose errors come before it. */
function branchesOf ({ keyword, schema, parentSchema }: ErrorObject): JsonObject[] {
  const branches: unknown[] = {
    anyOf: schema,
    oneOf: schema,
    contains: [schema],
    propertyNames: [schema],
    if: [parentSchema?.then, parentSchema?.else]
  }[keyword] as unknown[] | undefined ?? []
  return branches.filter(isJsonObject)
}

/** A schema, and those that it contains or references. */
function schemasWithin (schema: JsonObject, root: JsonObject): Set<unknown> {
  const found = new Set([schema])
  // The loop reaches members that it adds on the way.
  for (const member of found) {
    const referenced = resolveReference(root, member.$ref)
    if (referenced !== null) found.add(referenced)
    const { $defs, ...rest } = member
    mapSubschemas(rest, subschema => {
      found.add(subschema)
      return subschema
    })
  }
  return found
}

function toFault ({ error, isFirm, message }: Entry): ArgumentFault {
  const { keyword, instancePath, params, propertyName } = error
  const name: unknown = propertyName ?? params.missingProperty ?? params.additionalProperty ??
    params.unevaluatedProperty ?? (keyword === 'propertyNames' ? params.propertyName : undefined)
  const pointer = typeof name === 'string' ? `${instancePath}/${escapeToken(name)}` : instancePath
  const isAbsent = params.missingProperty !== undefined && instancePath === ''
  return {
    pointer,
    message,
    argument: pointer === '' || isAbsent ? null : unescapeToken(pointer.split('/')[1] ?? ''),
    isMissing: isAbsent && keyword === 'required' && isFirm
  }
}

function messageOf ({ keyword, message, schema, propertyName }: ErrorObject): string {
  const text = ascii(ownMessage(keyword, schema) ?? message ?? 'must fit its schema')
  return propertyName === undefined ? text : `name ${text}`
}

function ownMessage (keyword: string, schema: unknown): string | null {
  const quoted = (values: unknown[]) => values.map(value => JSON.stringify(value)).join(', ')
  switch (keyword) {
    case 'required': return 'must be there'
    case 'false schema':
    case 'additionalProperties':
    case 'unevaluatedProperties': return forbidden
    case 'not': return isJsonObject(schema) && Object.keys(schema).length === 0 ? forbidden : null
    case 'uniqueItems': return 'must not have the same item twice'
    case 'enum': {
      const values = quoted(Array.isArray(schema) ? schema : [])
      return values.length <= maxQuoteLength ? `must be one of ${values}` : 'must be one of the values that are listed'
    }
    case 'const': {
      const value = quoted([schema])
      return value.length <= maxQuoteLength ? `must be ${value}` : 'must be the value that is listed'
    }
    case 'pattern': return quoted([schema]).length > maxQuoteLength ? 'must match its pattern' : null
    default: return null
  }
}

const ascii = (text: string) =>
  text.replace(/[^ -~]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
