/** A part of a representation: its first byte, and the one behind its last. */
export interface BytePart { start: number, end: number }

/**
 * What a `Range` header means for a representation of so many bytes: a part, all of it (`null`), or none of it.
 *
 * Several ranges, other units, and what is no range mean all of it, which the RFC allows. Not range-parser: to it, a
 * suffix that is longer than the representation is a range that cannot be given.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function readRange (header: string | undefined, bytes: number): BytePart | 'unsatisfiable' | null {
  const [, first, last] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return null
  if (first === '') {
    const length = Math.min(Number(last), bytes)
    return length === 0 ? 'unsatisfiable' : { start: bytes - length, end: bytes }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return null
  if (start >= bytes) return 'unsatisfiable'
  return { start, end: last === '' ? bytes : Math.min(Number(last) + 1, bytes) }
}
