import { tokensOf } from './json-locator.ts'
import { type Step, walkJson } from './json-walk.ts'

/** What is wanted of a value: all of it, or parts by their names. */
interface Wanted {
  isWhole: boolean
  parts: Map<string, Wanted>
  /** Wanted of each member or item. */
  ofEach: Wanted | null
}

const nothing = (): Wanted => ({ isWhole: false, parts: new Map(), ofEach: null })

/** A value that has begun and not ended: passed over, copied, or entered. */
type Open = 'passed' | 'copied' | { wanted: readonly Wanted[], close: string, isEmpty: boolean }

export interface JsonProjection {
  /** Takes the next bytes of the text, and gives the next ones of what is left of it. */
  push: (chunk: Buffer) => Buffer
  finish: () => Buffer
}

/**
 * A JSON text without what is not wanted of it. `fields` are JSON Pointers, in which `*` stands for each member or
 * item.
 *
 * What stays is in its place, in its order, and as its author wrote it. An object or array on the way to a field stays
 * also where it has no such field. The text itself is an object or an array.
 */
export function projectJson (fields: readonly string[]): JsonProjection {
  const root = nothing()
  for (const field of fields) want(root, tokensOf(field))
  const open: Open[] = []
  let text = ''
  let chunk: Buffer = Buffer.alloc(0)
  let chunkStart = 0
  /** Where what is copied goes on; `null` while nothing is. */
  let copiedFrom: number | null = null

  function copyTo (at: number): void {
    if (copiedFrom === null) return
    text += chunk.toString('latin1', copiedFrom - chunkStart, at - chunkStart)
    copiedFrom = at
  }

  const walk = walkJson({
    begin ({ step, at, isContainer, isArray, name }) {
      const around = open.at(-1)
      const wanted = typeof around === 'object' ? wantedOf(around.wanted, step) : [root]
      const isWhole = wanted.some(({ isWhole }) => isWhole)
      if (wanted.length === 0 || (!isWhole && !isContainer)) {
        open.push('passed')
        return false
      }
      if (typeof around === 'object') {
        if (!around.isEmpty) text += ','
        around.isEmpty = false
        if (name !== '') text += `${name}:`
      }
      if (isWhole) {
        copiedFrom = at
        open.push('copied')
        return false
      }
      text += isArray ? '[' : '{'
      open.push({ wanted, close: isArray ? ']' : '}', isEmpty: true })
      return true
    },
    end (at) {
      const ended = open.pop()
      if (typeof ended === 'object') text += ended.close
      if (ended !== 'copied') return
      copyTo(at)
      copiedFrom = null
    }
  })

  function take (): Buffer {
    const bytes = Buffer.from(text, 'latin1')
    text = ''
    return bytes
  }

  return {
    push (next) {
      chunk = next
      walk.push(chunk)
      copyTo(chunkStart + chunk.length)
      chunkStart += chunk.length
      return take()
    },
    finish () {
      chunk = Buffer.alloc(0)
      walk.finish()
      return take()
    }
  }
}

function want (from: Wanted, [token, ...others]: readonly string[]): void {
  if (token === undefined) {
    from.isWhole = true
    return
  }
  const next = (token === '*' ? from.ofEach : from.parts.get(token)) ?? nothing()
  if (token === '*') from.ofEach = next
  else from.parts.set(token, next)
  want(next, others)
}

const none: readonly Wanted[] = []

/** What is wanted of a part; nothing of one whose name is too long. There may be very many parts. */
function wantedOf (around: readonly Wanted[], step: Step): readonly Wanted[] {
  let found: Wanted[] | null = null
  for (const { parts, ofEach } of step === null ? none : around) {
    const named = parts.size === 0 ? undefined : parts.get(String(step))
    if (named !== undefined) (found ??= []).push(named)
    if (ofEach !== null) (found ??= []).push(ofEach)
  }
  return found ?? none
}
