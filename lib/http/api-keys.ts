import { createHash, timingSafeEqual } from 'node:crypto'

/** A key of a caller, of which only the hash is known here. */
export interface ApiKey {
  /** Whose it is. Several keys may have one name: the old one and the new one, while callers change over. */
  name: string
  sha256: Buffer
}

const pair = /^([\w-]{1,64}):([\da-f]{64})$/i

/** Keys from `name:sha256` pairs with commas or white space between; `null` when the text is anything else, or has none. */
export function parseApiKeys (text: string): ApiKey[] | null {
  const keys = text.split(/[\s,]+/).filter(Boolean).map(entry => {
    const [, name, hash] = pair.exec(entry) ?? []
    return name === undefined || hash === undefined ? null : { name, sha256: Buffer.from(hash, 'hex') }
  })
  if (keys.length === 0 || !keys.every(key => key !== null)) return null
  const hashes = keys.map(({ sha256 }) => sha256.toString('hex'))
  // The hash of nothing is that of a key that somebody failed to write down; and one key is one caller's.
  return hashes.includes(hashOfNothing) || new Set(hashes).size < hashes.length ? null : keys
}

const hashOfNothing = createHash('sha256').digest('hex')

/**
 * The name of whoever presents this key; `null` when it is nobody's.
 *
 * Takes as long whichever key it is, and whether it is one: all are compared, each whole. A key has 256 random bits, so a
 * plain hash is as good as a slow one.
 */
export function nameOfKey (keys: readonly ApiKey[], presented: string): string | null {
  const digest = createHash('sha256').update(presented).digest()
  let found: string | null = null
  for (const { name, sha256 } of keys) if (timingSafeEqual(digest, sha256)) found = name
  return found
}

/** The token of `Authorization: Bearer`; `undefined` when there is none. RFC 6750, section 2.1. */
export const bearerToken = (authorization: string | undefined): string | undefined => /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
