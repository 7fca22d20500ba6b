import { createHmac, timingSafeEqual } from 'node:crypto'
import { parseJsonObject } from '../json.ts'

/**
 * The user who opened a session, and the credentials, as hashes with a key of the session's own. The hashes disclose
 * nothing, and cannot be compared with those of another session.
 */
export interface Owner {
  /** The same for the same credentials. */
  credentials: string
  /** The same for the same user of the same API, also with another token. */
  user: string
}

/** The fields of /init that identify the user. */
export interface Identity {
  apiUrl: unknown
  jwtToken: unknown
  /** All credentials of the session, in any order: JSON texts by name. */
  credentials: ReadonlyMap<string, string>
}

/** `key` is the session's `meta`, which is never the same twice. */
export function ownerOf ({ apiUrl, jwtToken, credentials }: Identity, key: string): Owner {
  const hash = (...parts: unknown[]) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url')
  const sorted = Array.from(credentials, ([name, text]) => [name, comparable(text)] as const)
    .sort(([a], [b]) => a < b ? -1 : 1)
  return {
    credentials: hash('credentials', apiUrl, jwtToken, sorted),
    user: hash('user', canonicalUrl(apiUrl), ...userOf(jwtToken))
  }
}

/** A credential's value, or its text where a value cannot hold all of it. */
function comparable (text: string): unknown {
  const value: unknown = JSON.parse(text)
  return typeof value === 'string' || JSON.stringify(value) === text ? value : text
}

/** In constant time. */
export function isSameHash (one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** `null` for a text that this service did not write. */
export function parseOwner (text: string): Owner | null {
  const value = parseJsonObject(text)
  return typeof value?.credentials === 'string' && typeof value.user === 'string' ? value as unknown as Owner : null
}

/**
 * The user of a token that the API accepted: its `sub`, which is unique within its `iss`. A token without one is its
 * own user.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-4.1.2
 */
function userOf (jwtToken: unknown): unknown[] {
  const claims = Buffer.from(String(jwtToken).split('.')[1] ?? '', 'base64url').toString('utf8')
  const { sub, iss = null } = parseJsonObject(claims) ?? {} // some tokens only their API can read
  return typeof sub === 'string' && sub !== '' ? ['sub', iss, sub] : ['token', jwtToken]
}

/** `https://api.example.com` and `https://API.example.com:443/` are one API. */
const canonicalUrl = (url: unknown) => typeof url === 'string' && URL.canParse(url) ? new URL(url).href : url
