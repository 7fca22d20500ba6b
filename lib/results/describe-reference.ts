import { setImmediate } from 'node:timers/promises'
import { objectText } from '../json-text.ts'
import { walkJson } from './json-walk.ts'
import type { ResultContent } from './result.ts'
import type { KeptResult } from './result-store.ts'

/** How much of a result its reference shows, as JSON text (bytes): with all its members it stays below 4 kB. */
const mostPreviewBytes = 1_500
const mostKeyBytes = 1_500
const mostKeys = 100

/** How much of a result is looked at in one turn of the event loop (bytes). */
const turnBytes = 262_144

/**
 * The reply that stands for a result, as JSON text. A caller sees what it is, how it begins, and the names of its
 * members, each as far as there is room.
 */
export async function describeReference (
  { ref, expiresAt }: Pick<KeptResult, 'ref' | 'expiresAt'>, { kind, type, content }: ResultContent
): Promise<string> {
  return objectText([
    ['status', '"success"'],
    ['ref', JSON.stringify(ref)],
    ['bytes', String(content.length)],
    ['type', JSON.stringify(type)],
    ['preview', kind === 'binary' ? '""' : previewOf(content)],
    ['keys', JSON.stringify(kind === 'json' ? await keysOf(content) : [])],
    ['expires_at', JSON.stringify(new Date(expiresAt).toISOString())]
  ])
}

const sizeOf = (text: string) => Buffer.byteLength(JSON.stringify(text))

/** A JSON string with the first characters of a text, whole ones. */
function previewOf (content: Buffer): string {
  // A decoder that waits for more leaves out a character that is cut off.
  const start = new TextDecoder('utf-8', { ignoreBOM: true })
    .decode(content.subarray(0, mostPreviewBytes), { stream: true })
  let text = ''
  let bytes = 2
  for (const character of start) {
    bytes += sizeOf(character) - 2
    if (bytes > mostPreviewBytes) break
    text += character
  }
  return JSON.stringify(text)
}

/** The names of an object's members, the first ones; none of any other value. */
async function keysOf (content: Buffer): Promise<string[]> {
  const keys = new Set<string>()
  let bytes = 0
  let isFull = false
  let depth = 0
  const walk = walkJson({
    begin ({ step, isContainer, isArray }) {
      if (depth === 1 && typeof step === 'string' && !keys.has(step)) {
        bytes += sizeOf(step) + 1
        isFull ||= bytes > mostKeyBytes || keys.size === mostKeys
        if (!isFull) keys.add(step)
      }
      depth++
      return depth === 1 && isContainer && !isArray
    },
    end () { depth-- }
  })
  for (let start = 0; start < content.length; start += turnBytes) {
    if (start > 0) await setImmediate()
    walk.push(content.subarray(start, start + turnBytes))
    if (isFull) break // the walk fills it
  }
  return [...keys]
}
