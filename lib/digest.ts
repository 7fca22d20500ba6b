import { hash } from 'node:crypto'

/** SHA-256 of a value's JSON, as base64url. The order of keys counts. */
export function digestOf (value: unknown): string {
  return hash('sha256', JSON.stringify(value), 'base64url')
}
