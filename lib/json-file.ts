import { readFileSync } from 'node:fs'

/**
 * A JSON file of the operator: its text, and the value in it. Editors on Windows write a byte order mark before it.
 *
 * Throws SyntaxError, whose sentence may quote the file, or the error of reading it.
 */
export function readJsonFile (path: string): { text: string, value: unknown } {
  const text = readFileSync(path, 'utf8').replace(/^\ufeff/, '')
  return { text, value: JSON.parse(text) }
}
