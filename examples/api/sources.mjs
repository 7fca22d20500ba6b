import { csvParse } from 'd3-dsv'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { analyzeColumns } from '../analysis/columns.mjs'
import { InputError } from '../analysis/input-error.mjs'

/** Only data whose terms are known and allow this use. */
const CATALOGUE = JSON.parse(readFileSync(new URL('catalogue.json', import.meta.url), 'utf8'))
const FOLDER = new URL('data/', import.meta.resolve('vega-datasets/package.json'))
const loaded = new Map()

/** A page of the sources that have every word of the search. */
export function listSources ({ search, page, limit }) {
  const words = search.toLowerCase().split(/\s+/)
  const found = CATALOGUE.filter(({ id, title, description }) => {
    const text = `${id} ${title} ${description}`.toLowerCase()
    return words.every(word => text.includes(word))
  })
  const sources = found.slice((page - 1) * limit, page * limit).map(({ file, ...source }) => source)
  return { sources, pagination: { page, limit, total: found.length } }
}

/** A file is read when it is first asked for and then kept: about 2 MB for all of them. */
export async function loadSource (id) {
  const entry = CATALOGUE.find(entry => entry.id === id)
  if (!entry) throw new InputError(`There is no source "${id}".`, { statusCode: 404 })
  if (!loaded.has(id)) loaded.set(id, await readSource(entry))
  return loaded.get(id)
}

async function readSource ({ id, title, credit, licence, file }) {
  const text = await readFile(new URL(file, FOLDER), 'utf8')
  const rows = file.endsWith('.csv') ? parseRows(text) : JSON.parse(text)
  const columns = analyzeColumns(rows).map(({ name, type }) => ({ name, type }))
  return { rows, structure: { sourceId: id, title, credit, licence, rowCount: rows.length, columns } }
}

/**
 * Rows of comma-separated text. A column becomes numbers when every value in it is one, an empty field becomes null.
 * d3.autoType decides for each field alone: it would make 7 of the code 007, and an instant of a day.
 */
export function parseRows (text) {
  const rows = csvParse(text)
  const isNumeric = name => rows.every(row => /^([+-]?(0|[1-9]\d*)(\.\d+)?)?$/.test(row[name]))
  const numeric = new Set(rows.columns.filter(isNumeric))
  const valueOf = ([name, field]) => [name, field === '' ? null : numeric.has(name) ? Number(field) : field]
  return rows.map(row => Object.fromEntries(Object.entries(row).map(valueOf)))
}
