import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/** The project's folder: the tests are built elsewhere, where package.json is a link. */
const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const levels = new Set(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])

/** A message as docs/logs.md writes it, with its level. */
const rowOf = (level: string, message: string) => `${level} ${message}`

/** What a file may write to the log: levels and messages. What is put into a message is `…`. */
function messagesIn (file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
  const constants = new Map<string, ts.Expression>()
  const found: string[] = []

  /** Texts that an expression may have; `of` are the names that led to it. */
  function textsOf (node: ts.Expression | undefined, of: readonly string[] = []): string[] {
    if (node === undefined) return []
    if (ts.isStringLiteralLike(node)) return [node.text]
    if (ts.isTemplateExpression(node)) {
      return [[node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…')]
    }
    if (ts.isConditionalExpression(node)) return [node.whenTrue, node.whenFalse].flatMap(part => textsOf(part, of))
    if (ts.isBinaryExpression(node)) {
      return textsOf(node.left, of).flatMap(left => textsOf(node.right, of).map(right => left + right))
    }
    if (ts.isParenthesizedExpression(node)) return textsOf(node.expression, of)
    if (!ts.isIdentifier(node) || of.includes(node.text)) return []
    return textsOf(constants.get(node.text), [...of, node.text])
  }

  /** The levels of a call of a logger; none for any other call. */
  function levelsOf ({ expression: callee }: ts.CallExpression): string[] {
    // What lib says of an error that nobody is answered with goes to a logger of the plugins.
    if (isTold(callee)) return ['warn']
    if (ts.isPropertyAccessExpression(callee)) {
      return levels.has(callee.name.text) && isLogger(callee.expression) ? [callee.name.text] : []
    }
    return ts.isElementAccessExpression(callee) && isLogger(callee.expression) ? textsOf(callee.argumentExpression) : []
  }
  const isTold = (callee: ts.Expression) => /^(options\.)?(onTrouble|report)$/.test(callee.getText())
  const isLogger = (node: ts.Expression) => /(^|\.)log$/.test(node.getText())

  function visit (node: ts.Node, work: (node: ts.Node) => void): void {
    work(node)
    ts.forEachChild(node, child => visit(child, work))
  }
  visit(source, node => {
    if (ts.isVariableDeclaration(node) && node.initializer !== undefined) {
      constants.set(node.name.getText(), node.initializer)
    }
  })
  visit(source, node => {
    if (!ts.isCallExpression(node)) return
    const last = node.arguments.at(-1)
    const messages = textsOf(last)
    // Where a message is handed on, it was found where it comes from.
    if (messages.length === 0 && (isTold(node.expression) || last?.getText() === 'message')) return
    if (messages.length === 0) messages.push(`(a message that this test does not find in ${file})`)
    found.push(...levelsOf(node).flatMap(level => messages.map(message => rowOf(level, message))))
  })
  return found
}

t.test('docs/logs.md lists every warning and error, and nothing that is not logged', t => {
  const files = ['plugins', 'lib', 'routes'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts')).map(name => join(root, folder, name)))
  const logged = [...new Set([join(root, 'app.ts'), ...files].flatMap(messagesIn))]
  const page = readFileSync(join(root, 'docs', 'logs.md'), 'utf8')
  const listed = [...page.matchAll(/^\| (\w+) \| `([^`]+)` \|/gm)].map(([, level = '', message = '']) =>
    rowOf(level, message))
  t.ok(logged.length > 40)
  t.strictSame(listed.filter(row => !logged.includes(row)), [], 'listed, and not logged at this level')
  t.strictSame(listed, [...new Set(listed)], 'each once')
  const mayHoldAlert = logged.filter(row => /^(fatal|error|warn) /.test(row))
  t.strictSame(mayHoldAlert.filter(row => !listed.includes(row)).sort(), [], 'logged, and not listed')
  t.end()
})
