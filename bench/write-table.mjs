/* Puts tables into documents, between two marks. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../scripts/environment.mjs'

/** Replaces what a document has between the marks of `name`. `script` is the one of package.json that writes it. */
export function writeTable (file, name, script, table) {
  const begin = `<!-- ${name}: \`npm run ${script} -- --write\` replaces what follows -->`
  const end = `<!-- ${name}: end -->`
  const path = join(root, file)
  const [before, rest] = split(readFileSync(path, 'utf8'), begin, file)
  const [, after] = split(rest, end, file)
  writeFileSync(path, `${before}${begin}\n\n${table}\n\n${end}${after}`)
}

function split (text, mark, file) {
  const at = text.indexOf(mark)
  if (at === -1) throw new Error(`${file} has no place for the table: ${mark}`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}
