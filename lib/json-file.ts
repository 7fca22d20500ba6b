import { readFileSync } from 'node:fs'

/**
 * The value in a JSON file of the operator. Editors on Windows write a byte order mark before it.
 *
 * Throws SyntaxError, whose sentence may quote the file, or the error of reading it.
 */
export function readJsonFile (path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8').replace(/^\ufeff/, ''))
}
