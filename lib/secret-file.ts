import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'

/** A value, or why there is none: a clause that names the file, and repeats nothing of what is in it. */
export type FileValue = { value: string } | { fault: string }

/** Larger files are no secrets: somebody named the wrong one. */
const maxBytes = 65_536

/** Whether a variable is set. An empty one counts as not set. */
export const isSet = (name: string, environment: Variables) => Boolean(environment[name]?.trim())

type Variables = Readonly<Record<string, string | undefined>>

/**
 * The value of a variable that is in the file which `<NAME>_FILE` names, without one line break at its end; `null` when
 * `<NAME>_FILE` is not set. Never throws.
 */
export function valueFromFile (name: string, environment: Variables): FileValue | null {
  if (!isSet(`${name}_FILE`, environment)) return null
  const path = resolve(environment[`${name}_FILE`]?.trim() ?? '')
  const read = readText(path)
  if ('value' in read) return read
  // The path is quoted: whoever takes the variable for the secret's own may write several lines into it.
  return { fault: `${name}_FILE must be a text file that holds the value, but ${JSON.stringify(path)} ${read.fault}` }
}

function readText (path: string): FileValue {
  const read = readTextFile(path)
  if ('fault' in read) return read
  const value = read.value.replace(/\r?\n$/, '')
  // Blanks alone would count as not set later, and the service would run without the secret.
  return value.trim() === '' ? { fault: 'is empty' } : { value }
}

/** What is in a small file of UTF-8 text, without a byte order mark. Never throws. */
export function readTextFile (path: string): FileValue {
  let bytes: Buffer | string
  try {
    bytes = readBytes(path)
  } catch (error) {
    return { fault: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read' }
  }
  if (typeof bytes === 'string') return { fault: bytes }
  if (bytes.includes(0)) return { fault: 'holds a NUL character' }
  try {
    return { value: new TextDecoder('utf-8', { fatal: true }).decode(bytes) } // passes over a byte order mark
  } catch {
    return { fault: 'is not UTF-8' }
  }
}

/** The bytes of a regular file, or what is wrong with it. Throws the error of reading it. */
function readBytes (path: string): Buffer | string {
  // A named pipe that nobody writes to would block the open for ever.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(file)
    if (stats.isDirectory()) return 'is a folder'
    if (!stats.isFile()) return 'is no regular file'
    // The size is not believed: files of /proc say 0.
    const bytes = Buffer.alloc(maxBytes + 1)
    let length = 0
    let count
    do {
      count = readSync(file, bytes, length, bytes.length - length, null)
      length += count
    } while (count > 0 && length < bytes.length)
    return length > maxBytes ? `is larger than ${maxBytes / 1024} KiB` : bytes.subarray(0, length)
  } finally {
    closeSync(file)
  }
}
