import { isJsonObject, type JsonObject } from '../json.ts'

/** Fields of the replaced service's blob that are not cached values. */
const ownFields = new Set(['session_id', 'created_at', 'last_accessed'])

export interface FlaskSession {
  createdAt: string | undefined
  /** Credentials and cached values together, as that service kept them. */
  fields: JsonObject
}

/**
 * A session that the Flask service wrote: one flat JSON object with session_id, apiUrl, jwtToken, created_at,
 * last_accessed, and a key for each cached value. `null` for anything else.
 */
export function parseFlaskSession (text: string): FlaskSession | null {
  const blob = parsePythonJson(text)
  if (!isJsonObject(blob) || typeof blob.apiUrl !== 'string' || typeof blob.jwtToken !== 'string') return null
  return {
    createdAt: typeof blob.created_at === 'string' ? blob.created_at : undefined,
    fields: Object.fromEntries(Object.entries(blob).filter(([name]) => !ownFields.has(name)))
  }
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
