import { digestOf } from '../digest.ts'
import { parseJsonObject } from '../json.ts'
import { callerOrigin } from '../value-origin.ts'
import type { StoredFields } from './scripts.ts'

/** Where a cached value came from. Holds nothing of the value. */
export interface ValueOrigin {
  /** The MCP server that was sent the value or gave it, or `caller`. */
  server: string
  /** The tool's name as callers know it; absent for values of callers. */
  tool?: string
  as: 'parameter' | 'result' | 'init' | 'put'
  /** ISO 8601, UTC. */
  at: string
}

/** A value to keep. */
export interface KeptValue {
  /** JSON text. */
  text: string
  /** `null` where it is not known, as for values of the Flask service. */
  origin: ValueOrigin | null
}

/** A value that is read: the latest of a name, of those that the given origins have. */
export interface ValueRead {
  name: string
  /** Names of servers, and `caller`. */
  from: readonly string[]
  /** A value whose origin is not known counts, too, as the oldest one. */
  acceptsUnknown: boolean
  /** Its origin is wanted as well. */
  wantsOrigin?: boolean
}

/** A value that is stored. */
export interface StoredValue { field: string, stored: string, origin: ValueOrigin | null }

/** Values to keep, from JSON texts by name, all from one origin. */
export const keptAs = (values: ReadonlyMap<string, string>, origin: ValueOrigin | null): Map<string, KeptValue> =>
  new Map(Array.from(values, ([name, text]) => [name, { text, origin }]))

/**
 * The fields of a session that hold cached values.
 *
 * `p:<name>` holds a value of callers. The server of MCP_SERVER_SCRIPT shares these names; any other server has
 * `v:<server>:<name>`, so that no server overwrites another's value.
 *
 * A field `o:<field>` beside a value holds its origin. It is a field of its own so that an older version of the service
 * finds the value as it knows it, and so that a session can be described without its values being read.
 */
export interface ValueFields {
  fieldOf: (name: string, origin: ValueOrigin | null) => string
  /** The text of the origin of a value that is stored in a field; '' for none. */
  encodeOrigin: (field: string, stored: string, origin: ValueOrigin | null) => string
  /** The text of an origin, once its value is stored with the same content and another text. */
  renewOrigin: (field: string, stored: { before: string, after: string }, text: string) => string
  /** All fields that one value may be read from, those of origins included where they are needed. */
  fieldsOf: (read: ValueRead) => string[]
  /** The value of a read, of the fields that `fieldsOf` names; `null` where there is none. */
  pick: (read: ValueRead, fields: StoredFields) => StoredValue | null
}

export const originField = (field: string) => `o:${field}`

/** A name of a server must not end where the value's name begins. */
const escaped = (server: string) => server.replace(/[%:]/g, encodeURIComponent)

const sharedField = (name: string) => `p:${name}`
const ownField = (server: string, name: string) => `v:${escaped(server)}:${name}`

/** The name of the value that a field holds. */
export function nameOfValue (field: string): string {
  if (field.startsWith('p:')) return field.slice(2)
  return field.slice(field.indexOf(':', 2) + 1)
}

/** `sharesNames`: there is one server, and its values and those of callers share their names. */
export function createValueFields ({ sharesNames }: { sharesNames: boolean }): ValueFields {
  function fieldsOfValue ({ name, from, acceptsUnknown }: ValueRead): string[] {
    if (sharesNames) return [sharedField(name)]
    const fields = from.map(server => server === callerOrigin ? sharedField(name) : ownField(server, name))
    return acceptsUnknown ? [...new Set([...fields, sharedField(name)])] : fields
  }

  /** The latest of several values must be known, and whether a value of callers is one. */
  const needsOrigins = ({ name, wantsOrigin }: ValueRead, fields: readonly string[]) =>
    wantsOrigin === true || (!sharesNames && (fields.length > 1 || fields[0] === sharedField(name)))

  /**
   * An older version of the service writes any server's values to `p:<name>`, and leaves the origin beside them as it
   * was. An origin counts only for the value that it was written with.
   */
  const isGuarded = (field: string) => !sharesNames && field.startsWith('p:')

  function originOf (field: string, stored: string, text: string): ValueOrigin | null {
    const origin = parseOrigin(text)
    if (origin === null || !isGuarded(field)) return origin
    const { digest, ...rest } = origin as ValueOrigin & { digest?: string }
    return digest === digestOf(stored) ? rest : null
  }

  function encodeOrigin (field: string, stored: string, origin: ValueOrigin | null): string {
    if (origin === null) return ''
    return JSON.stringify(isGuarded(field) ? { ...origin, digest: digestOf(stored) } : origin)
  }

  return {
    fieldOf: (name, origin) => sharesNames || origin === null || origin.server === callerOrigin
      ? sharedField(name)
      : ownField(origin.server, name),

    encodeOrigin,
    renewOrigin: (field, { before, after }, text) => encodeOrigin(field, after, originOf(field, before, text)) || text,

    fieldsOf (read) {
      const fields = fieldsOfValue(read)
      return needsOrigins(read, fields) ? [...fields, ...fields.map(originField)] : fields
    },

    pick (read, stored) {
      const found = fieldsOfValue(read).flatMap(field => {
        const text = stored.get(field) ?? null
        if (text === null) return []
        const origin = originOf(field, text, stored.get(originField(field)) ?? '')
        const isAllowed = sharesNames || !isGuarded(field) ||
          (origin === null ? read.acceptsUnknown : read.from.includes(origin.server))
        return isAllowed ? [{ field, stored: text, origin }] : []
      })
      return found.reduce<StoredValue | null>((latest, value) =>
        latest === null || timeOf(value) > timeOf(latest) ? value : latest, null)
    }
  }
}

const timeOf = ({ origin }: StoredValue) => origin?.at ?? ''

/** An origin as it may be shown; `null` for a text that is none: the value's origin is then not known. */
export function describeOrigin (text: string): ValueOrigin | null {
  const origin = parseOrigin(text)
  return origin && { server: origin.server, ...(origin.tool && { tool: origin.tool }), as: origin.as, at: origin.at }
}

function parseOrigin (text: string): ValueOrigin | null {
  const origin = parseJsonObject(text)
  return typeof origin?.server === 'string' ? origin as unknown as ValueOrigin : null // this service wrote it
}
