import { InvalidFieldError, ResultPartError } from '../errors.ts'
import { type ByteRange, locate, locateItems, tokensOf } from './json-locator.ts'
import { projectJson } from './json-projection.ts'
import type { JsonWalk } from './json-walk.ts'
import type { StoredResult } from './result-store.ts'

/** Which part of a JSON result is wanted. */
export interface Selection {
  /** Leads to the value that is wanted. */
  pointer?: string | undefined
  /** Parts of that value, which alone are wanted: pointers with `*` for each member or item. */
  fields?: readonly string[] | undefined
  /** Items of that value, an array. */
  offset?: number | undefined
  limit?: number | undefined
}

/** A part of a result, as it is sent. */
export interface Selected {
  /** Its bytes, a piece at a time. */
  read: () => AsyncIterable<Buffer>
  /** How many items the array has of which items are wanted; `null` where none are. */
  itemCount: number | null
}

type Source = Pick<StoredResult, 'kind' | 'bytes' | 'read'>

/**
 * The part of a result that is wanted. Nothing of it is altered, and no more of it is in memory than a piece.
 *
 * Rejects with InvalidFieldError for what the result has no parts of, and with ResultPartError when the pointer leads
 * nowhere.
 */
export async function select (result: Source, { pointer, fields, offset, limit }: Selection): Promise<Selected> {
  const wantsItems = offset !== undefined || limit !== undefined
  if (result.kind !== 'json') {
    const asked = Object.entries({ pointer, fields, offset, limit }).find(([, value]) => value !== undefined)
    if (asked !== undefined) throw new InvalidFieldError(asked[0], 'absent: the result is no JSON')
  }
  const whole = { start: 0, end: result.bytes }
  const range = pointer === undefined || pointer === '' ? whole : await rangeAt(result, pointer)
  const isIn = async (types: string) => types.includes(await firstOf(result, range))
  if (wantsItems && !await isIn('[')) {
    throw new InvalidFieldError(offset === undefined ? 'limit' : 'offset', 'absent: the value is no array')
  }
  if (fields !== undefined && !await isIn('[{')) {
    throw new InvalidFieldError('fields', 'absent: the value is no object and no array')
  }
  const items = wantsItems ? await itemsIn(result, range, { offset, limit }) : null
  const read = items === null ? () => result.read(range.start, range.end) : () => arrayOf(result, items.range)
  return {
    read: fields === undefined ? read : () => projected(read(), fields),
    itemCount: items?.count ?? null
  }
}

async function rangeAt (result: Source, pointer: string): Promise<ByteRange> {
  const search = locate(tokensOf(pointer))
  await walkThrough(search, result.read())
  const found = search.found()
  if (found === null) throw new ResultPartError('')
  return found
}

async function itemsIn (
  result: Source, { start, end }: ByteRange, { offset = 0, limit = Infinity }: Pick<Selection, 'offset' | 'limit'>
): Promise<{ range: ByteRange | null, count: number }> {
  const search = locateItems(offset, limit)
  await walkThrough(search, result.read(start, end))
  const { range, count } = search.found()
  return { range: range && { start: start + range.start, end: start + range.end }, count }
}

async function walkThrough (walk: JsonWalk, pieces: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of pieces) walk.push(piece)
  walk.finish()
}

/** The first character of a value, behind white space. */
async function firstOf (result: Source, { start, end }: ByteRange): Promise<string> {
  for await (const piece of result.read(start, end)) {
    const text = piece.toString('latin1').trimStart()
    if (text !== '') return text.charAt(0)
  }
  return ' '
}

async function * arrayOf (result: Source, range: ByteRange | null): AsyncGenerator<Buffer> {
  yield Buffer.from('[')
  if (range !== null) yield * result.read(range.start, range.end)
  yield Buffer.from(']')
}

async function * projected (pieces: AsyncIterable<Buffer>, fields: readonly string[]): AsyncGenerator<Buffer> {
  const projection = projectJson(fields)
  for await (const piece of pieces) {
    const part = projection.push(piece)
    if (part.length > 0) yield part
  }
  yield projection.finish()
}
