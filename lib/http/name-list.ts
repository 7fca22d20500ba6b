/** As many percent-encoded names as fit into a header, and `;more=<n>` for the others. */
export function nameList (names: readonly string[], maxLength: number): string {
  // No more than fits, and one that does not: there may be very many names, and each may be very long.
  const encoded: string[] = []
  let length = 0
  for (const name of names) {
    const text = encode(name.slice(0, maxLength + 1))
    encoded.push(text)
    length += text.length + 2
    if (length - 2 > maxLength) break
  }
  if (length - 2 <= maxLength) return encoded.join(', ')
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
