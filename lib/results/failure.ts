import { readJson, stringMember } from '../json-text.ts'

/** A failure in a tool's own words is short. A longer result shows its `status` where it is referred to (bytes). */
const longestFailure = 65_536

/** Whether a reply says by its own `status` that it is a failure. */
export function isFailure (body: string | Buffer): boolean {
  if (body.length > longestFailure) return false
  const document = readJson(body.toString(), 1)
  return document !== null && stringMember(document, document.root, 'status') === 'error'
}
