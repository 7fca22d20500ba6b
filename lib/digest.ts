import { createHash } from 'node:crypto'

/** SHA-256 of a value's JSON, as base64url. The order of keys counts. */
export function digestOf (value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url')
}
