/** Which tools of a server callers may have, by the names that the server gives them. `*` stands for any characters. */
export interface ToolFilter {
  /** Tools that are offered; absent: all. */
  readonly includeTools?: readonly string[]
  /** Tools that are not offered, although they are included. */
  readonly excludeTools?: readonly string[]
}

/** Whether callers may have a tool. */
export function offersTool ({ includeTools = ['*'], excludeTools = [] }: ToolFilter, tool: string): boolean {
  const isAmong = (patterns: readonly string[]) => patterns.some(pattern => matches(pattern, tool))
  return isAmong(includeTools) && !isAmong(excludeTools)
}

/** Compares piece by piece. A RegExp could backtrack for ever over a name that a server chose. */
function matches (pattern: string, name: string): boolean {
  const [first = '', ...pieces] = pattern.split('*')
  const last = pieces.pop()
  if (last === undefined) return name === pattern
  const end = name.length - last.length
  if (!name.startsWith(first) || !name.endsWith(last) || end < first.length) return false
  let index = first.length
  for (const piece of pieces) {
    const found = name.indexOf(piece, index)
    if (found === -1 || found + piece.length > end) return false
    index = found + piece.length
  }
  return true
}
