import { memberOf, readJson, textOf } from './json-text.ts'

/**
 * The text of the value that a JSON Pointer leads to within a JSON text, as its author wrote it; `null` where it leads
 * nowhere. The last of equal names counts.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6901
 */
export function textAt (text: string, pointer: string): string | null {
  const tokens = pointer.split('/').slice(1)
  const document = readJson(text, tokens.length)
  if (document === null) return null
  let node: typeof document.root | null = document.root
  for (const token of tokens.map(unescapeToken)) {
    node = node?.items === undefined ? memberOf(node, token) : itemAt(node.items, token)
  }
  return node === null ? null : textOf(document, node)
}

const itemAt = <Item>(items: readonly Item[], token: string): Item | null =>
  /^(0|[1-9]\d*)$/.test(token) ? items[Number(token)] ?? null : null

/** A name, as it stands in a pointer. */
export const escapeToken = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

/** A name within a pointer. Section 4: `~1` first, so that `~01` is `~1`. */
export const unescapeToken = (token: string) => token.replaceAll('~1', '/').replaceAll('~0', '~')
