import { isAscii } from 'node:buffer'
import type { ToolResult } from './tool-result.ts'

/** Parts of a longer text are copied (characters): as parts they would keep all of it in memory. */
const longText = 1_048_576

/**
 * A result that keeps nothing of a long message but what is used of it: the message would stay in memory while the
 * session is written.
 */
export function withoutItsMessage (
  result: ToolResult, maxValueBytes: number
): Omit<ToolResult, 'body'> & { body: string | Buffer } {
  const { body, outputs, tooMany } = result
  if (body.length < longText && outputs.size === 0) return result
  const entries = [...outputs]
  const isLong = body.length + entries.reduce((sum, [, text]) => sum + text.length, 0) >= longText
  if (!isLong) return result
  const fitting = entries.filter(([, text]) => text.length <= maxValueBytes)
  return {
    ...result,
    body: bytesOf(body),
    outputs: new Map(fitting.map(([name, text]) => [copyOf(name), copyOf(text)])),
    tooMany: [...tooMany, ...entries.filter(([, text]) => text.length > maxValueBytes).map(([name]) => copyOf(name))]
  }
}

/** The text in UTF-8. Most texts are ASCII, for which nothing needs to be counted first. */
function bytesOf (text: string): Buffer {
  const bytes = Buffer.allocUnsafe(text.length)
  return bytes.write(text, 'utf8') === text.length && isAscii(bytes) ? bytes : Buffer.from(text)
}

const copyOf = (text: string) => Buffer.from(text, 'utf16le').toString('utf16le')
