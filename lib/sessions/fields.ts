import type { JsonObject } from '../json.ts'
import type { Identity } from './owner.ts'

/** A new session, as /init opens it. */
export interface NewSession {
  identity: Identity
  /** Cached values by name, each as JSON text. */
  values: ReadonlyMap<string, string>
}

/** The field of a session's hash that holds a cached value. */
export const valueField = (name: string) => `p:${name}`

export const nameOfValue = (field: string) => field.slice(valueField('').length)

/** The field that holds the session's own session at an MCP server. */
export const upstreamField = (server: string) => `u:${server}`

/** The field that holds a call that waits for answers. */
export const pendingCallField = (token: string) => `q:${token}`

/** Takes the fields of /init apart: the sensitive ones are the session's credentials, the others cached values. */
export function splitFields (fields: JsonObject, sensitiveParams: readonly string[]): NewSession {
  const entries = Object.entries(fields)
  const isCredential = ([name]: [string, unknown]) => sensitiveParams.includes(name)
  const credentials = Object.fromEntries(entries.filter(isCredential))
  const others = entries.filter(entry => !isCredential(entry))
  const values = new Map(others.map(([name, value]) => [name, JSON.stringify(value)]))
  return { identity: { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken, credentials }, values }
}
