import { createHash } from 'node:crypto'

/** SHA-256 of a value's JSON, as base64url. Equal for values that `JSON.stringify` writes the same way, so the order of keys counts. */
export const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('base64url')
