/** A variable of an expression. `maxLength` is the prefix of `{name:3}`, in characters. */
export interface TemplateVariable { name: string, isExploded: boolean, maxLength: number }

/** How the values of an expression are joined. */
export interface TemplateOperator {
  /** What stands before the first value, and between two. */
  first: string
  separator: string
  /** Each value has its variable's name before it. A value of `;` that is empty has no `=`. */
  naming: 'none' | 'always' | 'unless empty'
  /** Characters that no value holds. */
  excluded: string
  /** The same for an exploded value, which may hold separators. */
  excludedExploded: string
}

export type TemplatePart = string | { operator: TemplateOperator, variables: readonly TemplateVariable[] }

/**
 * Appendix A of RFC 6570, with more characters in values than it has: what servers list is rarely encoded as it says.
 * An exploded value without an operator may hold slashes: FastMCP means that by `{path*}`.
 */
const simple: TemplateOperator =
  { first: '', separator: ',', naming: 'none', excluded: '/', excludedExploded: '' }
const operators: ReadonlyMap<string, TemplateOperator> = new Map([
  ['+', { ...simple, excluded: '' }],
  ['#', { ...simple, first: '#', excluded: '' }],
  ['.', { ...simple, first: '.', separator: '.', excludedExploded: '/' }],
  ['/', { ...simple, first: '/', separator: '/' }],
  [';', { first: ';', separator: ';', naming: 'unless empty', excluded: ';/', excludedExploded: '/' }],
  ['?', { first: '?', separator: '&', naming: 'always', excluded: '&', excludedExploded: '' }],
  ['&', { first: '&', separator: '&', naming: 'always', excluded: '&', excludedExploded: '' }]
])

/** Names of variables often hold a hyphen, which the RFC does not allow. */
const variable = /^([\w.%$~-]+)(?:(\*)|:([1-9]\d{0,3}))?$/

/**
 * The parts of a URI template; `null` for a text that is none. Never throws, and reads the text once.
 * @see https://www.rfc-editor.org/rfc/rfc6570
 */
export function parseTemplate (template: string): TemplatePart[] | null {
  const parts: TemplatePart[] = []
  let position = 0
  while (position < template.length) {
    const open = template.indexOf('{', position)
    const literal = template.slice(position, open === -1 ? undefined : open)
    if (literal.includes('}')) return null
    if (literal !== '') parts.push(literal)
    if (open === -1) break
    const close = template.indexOf('}', open)
    const expression = close === -1 ? null : parseExpression(template.slice(open + 1, close))
    if (expression === null) return null
    parts.push(expression)
    position = close + 1
  }
  return parts
}

function parseExpression (text: string): TemplatePart | null {
  const operator = operators.get(text.charAt(0))
  const list = operator === undefined ? text : text.slice(1)
  const variables: TemplateVariable[] = []
  for (const item of list.split(',')) {
    const [, name, star, length = Infinity] = variable.exec(item.trim()) ?? []
    if (name === undefined) return null
    variables.push({ name, isExploded: star !== undefined, maxLength: Number(length) })
  }
  return { operator: operator ?? simple, variables }
}
