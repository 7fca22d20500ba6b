import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../json.ts'
import type { Identity } from './owner.ts'

/** What /init brings: credentials apart from everything else. */
export interface NewSession {
  identity: Identity
  /** Cached values by name, each as JSON text. */
  values: ReadonlyMap<string, string>
}

/** What a session's `meta` says. It never changes, and is like no other. */
export interface SessionMeta {
  version: number
  /** ISO 8601, UTC. */
  created_at: string
  /** Name of the API key that it was opened with; absent where there was none. */
  client?: string
  generation: string
}

const schemaVersion = 1

/**
 * Where a session is. Operators list and look at these keys: no other may begin so. An API key's name has no colon, so what one key
 * opened is never where another one looks.
 */
export const sessionKey = (keyPrefix: string, client: string | null, id: string) => [keyPrefix, ...client === null ? [] : [client], id].join(':')

/** The field of a session's hash that holds a cached value. */
export const valueField = (name: string) => `p:${name}`

/** The field that holds the session's own session at an MCP server. */
export const upstreamField = (server: string) => `u:${server}`

/** The field that holds a call that waits for answers. */
export const pendingCallField = (token: string) => `q:${token}`

/** Fields that are sealed, where there are keys; the others say nothing that is anybody's. */
export const isSealedField = (field: string) => field === 'credentials' || field === 'owner' || /^[puq]:/.test(field)

/** Takes the fields of /init apart: the sensitive ones are the session's credentials, the others cached values. */
export function splitFields (fields: JsonObject, sensitiveParams: readonly string[]): NewSession {
  const entries = Object.entries(fields)
  const isCredential = ([name]: [string, unknown]) => sensitiveParams.includes(name)
  const credentials = Object.fromEntries(entries.filter(isCredential))
  const values = new Map(entries.filter(entry => !isCredential(entry)).map(([name, value]) => [name, JSON.stringify(value)]))
  return { identity: { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken, credentials }, values }
}

export function createMeta (client: string | null, createdAt = new Date().toISOString()): string {
  const meta: SessionMeta = { version: schemaVersion, created_at: createdAt, ...(client !== null && { client }), generation: randomUUID() }
  return JSON.stringify(meta)
}
