import { isJsonObject, type JsonObject } from '../json.ts'
import { type NewSession, splitFields } from './fields.ts'
import type { SessionRef } from './session-ref.ts'

export interface FlaskSession {
  /** ISO 8601; `undefined` where the service did not write it. */
  createdAt: string | undefined
  session: NewSession
}

/** How the scripts say that a key holds a string; see scripts/includes/seen.lua. */
const stringSeen = 'string:'

/** Fields of the replaced service's blob that are not cached values. */
const ownFields = new Set(['session_id', 'created_at', 'last_accessed'])

/**
 * The session that the Flask service wrote, from what was seen at the key; `null` for anything else. That service
 * knew no API keys.
 */
export function readFlaskSession (
  { client }: SessionRef, seen: string, sensitiveParams: readonly string[]
): FlaskSession | null {
  if (client !== null || !seen.startsWith(stringSeen)) return null
  const blob = parseFlaskBlob(seen.slice(stringSeen.length))
  if (blob === null) return null
  const fields = Object.fromEntries(Object.entries(blob).filter(([name]) => !ownFields.has(name)))
  return {
    createdAt: typeof blob.created_at === 'string' ? blob.created_at : undefined,
    session: splitFields(fields, sensitiveParams)
  }
}

/**
 * One flat JSON object: session_id, apiUrl, jwtToken, created_at, last_accessed, and a key for each cached value.
 * `null` for anything else.
 */
function parseFlaskBlob (text: string): JsonObject | null {
  const blob = parsePythonJson(text)
  return isJsonObject(blob) && typeof blob.apiUrl === 'string' && typeof blob.jwtToken === 'string' ? blob : null
}

/** Python's json.dumps writes NaN and Infinity, which JSON does not know; a table with gaps is full of them. */
const pythonNumbers = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g

function parsePythonJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // not JSON; perhaps Python's
  }
  try {
    return JSON.parse(text.replace(pythonNumbers, token => token.startsWith('"') ? token : 'null'))
  } catch {
    return null // neither: not a session of that service
  }
}
