import { createHash, randomUUID } from 'node:crypto'
import type { JsonObject } from './json.ts'

/** What /init brings: credentials apart from everything else. */
export interface NewSession {
  /** Hash that is the same for the same credentials; see `ownerOf`. */
  owner: string
  credentials: JsonObject
  /** Cached values by name, each as JSON text. */
  values: ReadonlyMap<string, string>
}

const schemaVersion = 1

/** Where a session is. Operators list and look at these keys: no other may begin so. */
export const sessionKey = (keyPrefix: string, id: string) => `${keyPrefix}:${id}`

/** The field of a session's hash that holds a cached value. */
export const valueField = (name: string) => `p:${name}`

/** The field that holds the session's own session at an MCP server. */
export const upstreamField = (server: string) => `u:${server}`

/**
 * Takes the fields of /init apart: the sensitive ones are the session's credentials, the others cached values.
 * The owner is a hash over apiUrl, jwtToken and the credentials, so that no later check needs the secrets themselves.
 */
export function splitFields (fields: JsonObject, sensitiveParams: readonly string[]): NewSession {
  const entries = Object.entries(fields)
  const isCredential = ([name]: [string, unknown]) => sensitiveParams.includes(name)
  const credentials = Object.fromEntries(entries.filter(isCredential))
  const values = new Map(entries.filter(entry => !isCredential(entry)).map(([name, value]) => [name, JSON.stringify(value)]))
  return { owner: ownerOf(fields, credentials), credentials, values }
}

function ownerOf ({ apiUrl, jwtToken }: JsonObject, credentials: JsonObject): string {
  const sorted = Object.entries(credentials).sort(([a], [b]) => a < b ? -1 : 1)
  return createHash('sha256').update(JSON.stringify([apiUrl, jwtToken, sorted])).digest('base64url')
}

/** A session as fields of its hash: names and texts in turn. */
export function fieldsOf ({ owner, credentials, values }: NewSession, createdAt = new Date().toISOString()): string[] {
  // The random part makes each session's meta its own: `write` recognises by it the session that was loaded.
  const meta = { version: schemaVersion, created_at: createdAt, owner, generation: randomUUID() }
  return [
    'meta', JSON.stringify(meta),
    'credentials', JSON.stringify(credentials),
    'last_accessed', new Date().toISOString(),
    'calls', '0',
    ...[...values].flatMap(([name, text]) => [valueField(name), text])
  ]
}
