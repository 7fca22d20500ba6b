/** As many percent-encoded names as fit into a header, and `;more=<n>` for the others. */
export function nameList (names: readonly string[], maxLength: number): string {
  let text = ''
  for (const [index, name] of names.entries()) {
    const next = `${text === '' ? '' : `${text}, `}${encoded(name)}`
    const more = names.length - index
    const suffix = more === 1 ? '' : `;more=${more - 1}`
    if (next.length + suffix.length > maxLength) return `${text};more=${more}`
    text = next
  }
  return text
}

/** A lone surrogate has no encoding and becomes U+FFFD. */
const encoded = (name: string) => encodeURIComponent(Buffer.from(name).toString())
