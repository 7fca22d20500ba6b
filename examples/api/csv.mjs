// @ts-check

/** @import { Row } from '../analysis/columns.mjs' */

/**
 * Parses comma-separated text with a header line: quoted fields may hold commas, line breaks and doubled quotes.
 * A column becomes numbers when every value in it is one; an empty field becomes `null`.
 * @param {string} text
 * @returns {Row[]}
 * @see https://www.rfc-editor.org/rfc/rfc4180
 */
export function parseCsv (text) {
  const [header = [], ...records] = parseRecords(text)
  const numeric = header.map((_, index) => records.every(record => isNumeric(record[index] ?? '')))
  return records.map(record => Object.fromEntries(header.map((name, index) => {
    const field = record[index] ?? ''
    if (field === '') return [name, null]
    return [name, numeric[index] ? Number(field) : field]
  })))
}

// One field, quoted or bare, and what ends it. Only a quoted one may begin with a quote: what does not close is refused.
const FIELD = /(?:"((?:[^"]|"")*)"|((?!")[^,\r\n]*))(,|\r\n|\n|\r|$)/y

/**
 * @param {string} text
 * @returns {string[][]}
 */
function parseRecords (text) {
  const source = text.replace(/^\uFEFF/, '')
  const records = []
  /** @type {string[]} */
  let record = []
  FIELD.lastIndex = 0
  while (FIELD.lastIndex < source.length || record.length > 0) {
    const match = FIELD.exec(source)
    if (!match) throw new SyntaxError(`CSV record ${records.length + 1}: text after a closing quote, or a quote that is never closed`)
    const [, quoted, bare = '', end] = match
    record.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'))
    if (end === ',') continue
    // A line without any character is no record.
    if (record.length > 1 || record[0] !== '' || quoted !== undefined) records.push(record)
    record = []
  }
  return records
}

/**
 * `007` is a code and not seven.
 * @param {string} field
 */
function isNumeric (field) {
  return /^([+-]?(0|[1-9]\d*)(\.\d+)?)?$/.test(field)
}
