import { createHash, timingSafeEqual } from 'node:crypto'

/** A caller's key. The service knows only its hash. */
export interface ApiKey {
  /** Name of the caller. An old and a new key may have one name, while the caller changes over. */
  name: string
  sha256: Buffer
}

const pair = /^([\w-]{1,64}):([\da-f]{64})$/i

/** Keys from `name:sha256` pairs with commas or white space between; `null` when a pair is wrong, or there is none. */
export function parseApiKeys (text: string): ApiKey[] | null {
  const keys = text.split(/[\s,]+/).filter(Boolean).map(entry => {
    const [, name, hash] = pair.exec(entry) ?? []
    return name === undefined || hash === undefined ? null : { name, sha256: Buffer.from(hash, 'hex') }
  })
  if (keys.length === 0 || !keys.every(key => key !== null)) return null
  const hashes = keys.map(({ sha256 }) => sha256.toString('hex'))
  // The hash of the empty text comes from an empty variable. A hash that is there twice has two callers' names.
  return hashes.includes(hashOfEmptyText) || new Set(hashes).size < hashes.length ? null : keys
}

const hashOfEmptyText = createHash('sha256').digest('hex')

/**
 * The name of the caller who has this key; `null` for a key that is not listed.
 *
 * The time does not depend on the key: all hashes are compared, each as a whole. A key has 256 random bits, so a plain
 * hash is as good as a slow one.
 */
export function nameOfKey (keys: readonly ApiKey[], presented: string): string | null {
  const digest = createHash('sha256').update(presented).digest()
  let found: string | null = null
  for (const { name, sha256 } of keys) if (timingSafeEqual(digest, sha256)) found = name
  return found
}

/**
 * The token of `Authorization: Bearer`; `undefined` when there is none.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export const bearerToken = (authorization: string | undefined): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
