/** As many percent-encoded names as fit into a header, and `;more=<n>` for the others. */
export function nameList (names: readonly string[], maxLength: number): string {
  const encoded = names.map(encode)
  const all = encoded.join(', ')
  if (all.length <= maxLength) return all
  const longestSuffix = `;more=${names.length}`.length
  let text = ''
  for (const [index, name] of encoded.entries()) {
    const next = index === 0 ? name : `${text}, ${name}`
    if (next.length + longestSuffix > maxLength) return `${text};more=${names.length - index}`
    text = next
  }
  return text
}

/** A lone surrogate has no encoding and becomes U+FFFD. */
const encode = (name: string) => encodeURIComponent(Buffer.from(name).toString())
