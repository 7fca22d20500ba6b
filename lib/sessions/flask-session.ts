import { memberTexts, readJson, stringMember } from '../json-text.ts'
import { type NewSession, splitFields } from './fields.ts'
import type { SessionRef } from './session-ref.ts'

export interface FlaskSession {
  /** ISO 8601; `undefined` where the service did not write it. */
  createdAt: string | undefined
  session: NewSession
}

/** How the scripts say that a key holds a string; see scripts/includes/seen.lua. */
const stringSeen = 'string:'

/** Fields that tell that service's blob from other JSON. */
const required = ['apiUrl', 'jwtToken']

/** Fields of the replaced service's blob that are not cached values. */
const ownFields = new Set(['session_id', 'created_at', 'last_accessed'])

/**
 * The session that the Flask service wrote, from what was seen at the key; `null` for anything else. It is one flat
 * JSON object with a key for each cached value. That service knew no API keys.
 */
export function readFlaskSession (
  { client }: SessionRef, seen: string, sensitiveParams: readonly string[]
): FlaskSession | null {
  if (client !== null || !seen.startsWith(stringSeen)) return null
  // Python's json.dumps writes NaN and Infinity; a table with gaps is full of them. They are `null` here.
  const blob = readJson(seen.slice(stringSeen.length))
  if (blob === null || required.some(name => stringMember(blob, blob.root, name) === null)) return null
  const fields = [...memberTexts(blob)].filter(([name]) => !ownFields.has(name))
  return {
    createdAt: stringMember(blob, blob.root, 'created_at') ?? undefined,
    session: splitFields(new Map(fields), sensitiveParams)
  }
}
