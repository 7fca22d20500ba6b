import { readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/** Where the sources are, also for the test as it was compiled. */
const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const folder = join(root, 'plugins')
const files = readdirSync(folder).map(name => join(folder, name))
const nameOf = (file: string) => basename(file, '.ts')

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root)
const program = ts.createProgram(fileNames, options)
const checker = program.getTypeChecker()

/** All nodes of a file. */
function * nodesOf (node: ts.Node): Generator<ts.Node> {
  yield node
  const children: ts.Node[] = []
  ts.forEachChild(node, child => { children.push(child) })
  for (const child of children) yield * nodesOf(child)
}

function sourceOf (file: string): ts.SourceFile {
  const source = program.getSourceFile(file)
  if (source === undefined) throw new Error(`${file} is not in the program`)
  return source
}

const isOfFastify = ({ parent }: ts.Declaration) =>
  ts.isInterfaceDeclaration(parent) && /^Fastify(Instance|Request|Reply)$/.test(parent.name.text)

/** The packages of Fastify that a plugin registers, each with that plugin. */
const registrars = new Map(files.flatMap(file => {
  const imports = [...nodesOf(sourceOf(file))].filter(ts.isImportDeclaration)
  const specifiers = imports.map(({ moduleSpecifier }) => (moduleSpecifier as ts.StringLiteral).text)
  return specifiers.filter(text => text.startsWith('@fastify/')).map(specifier => [specifier, nameOf(file)] as const)
}))

/** The plugin that decorates Fastify with this property; `null` for any other property. */
function ownerOf (property: ts.Symbol | undefined): string | null {
  for (const declaration of property?.declarations ?? []) {
    if (!isOfFastify(declaration)) continue
    const { fileName } = declaration.getSourceFile()
    if (dirname(fileName) === folder) return nameOf(fileName)
    const [, specifier = ''] = /node_modules\/(@fastify\/[\w-]+)\//.exec(fileName) ?? []
    const registrar = registrars.get(specifier)
    if (registrar !== undefined) return registrar
  }
  return null
}

/** What the plugins and the packages of Fastify declare. Only these names need their types, which are slow to find. */
const names = new Set(program.getSourceFiles()
  .filter(({ fileName }) => dirname(fileName) === folder || fileName.includes('/node_modules/@fastify/'))
  .flatMap(source => [...nodesOf(source)].filter(ts.isTypeElement).filter(isOfFastify))
  .flatMap(({ name }) => name !== undefined && ts.isIdentifier(name) ? [name.text] : []))

interface Use { decorator: string, owner: string }

/** The decorators that a file uses, as `request.session` or as `const { session } = request`. */
function usesIn (source: ts.SourceFile): Use[] {
  return [...nodesOf(source)].flatMap(node => {
    const property = propertyOf(node)
    const owner = ownerOf(property)
    return property === undefined || owner === null ? [] : [{ decorator: property.name, owner }]
  })
}

function propertyOf (node: ts.Node): ts.Symbol | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    return names.has(node.name.text) ? checker.getSymbolAtLocation(node.name) : undefined
  }
  if (!ts.isBindingElement(node) || !ts.isObjectBindingPattern(node.parent)) return undefined
  const name = node.propertyName ?? node.name
  if (!ts.isIdentifier(name) || !names.has(name.text)) return undefined
  const { parent } = node.parent
  const from = ts.isVariableDeclaration(parent) ? parent.initializer ?? parent : parent
  return checker.getTypeAtLocation(from).getProperty(name.text)
}

/** The dependencies that a plugin declares, and those whose comment says why they set the order. */
function declaredIn (source: ts.SourceFile): { all: Set<string>, ordering: Set<string> } {
  const elements = [...nodesOf(source)]
    .filter(ts.isPropertyAssignment).filter(({ name }) => name.getText() === 'dependencies')
    .flatMap(({ initializer }) => ts.isArrayLiteralExpression(initializer) ? [...initializer.elements] : [])
  const text = (element: ts.Expression) => (element as ts.StringLiteral).text
  const lines = source.text.split('\n')
  const isCommented = (element: ts.Expression) =>
    lines[source.getLineAndCharacterOfPosition(element.getStart()).line]?.includes('// order: ') ?? false
  return { all: new Set(elements.map(text)), ordering: new Set(elements.filter(isCommented).map(text)) }
}

const plugins = files.map(file => {
  const source = sourceOf(file)
  const name = nameOf(file)
  return { name, ...declaredIn(source), uses: usesIn(source).filter(({ owner }) => owner !== name) }
})

t.test('a plugin declares the owner of every decorator that it uses', async t => {
  for (const { name, all, uses } of plugins) {
    for (const { decorator, owner } of uses) t.ok(all.has(owner), `${name} uses ${decorator}, which is of ${owner}`)
  }
})

t.test('a plugin says why, where a dependency only sets the order', async t => {
  for (const { name, all, ordering, uses } of plugins) {
    const used = new Set(uses.map(({ owner }) => owner))
    for (const dependency of all) t.not(used.has(dependency), ordering.has(dependency), `${name} needs ${dependency}`)
  }
})

t.test('every decorator of every plugin is seen where it is used', async t => {
  const decorators = files.flatMap(file => [...nodesOf(sourceOf(file))])
    .filter(ts.isTypeElement).filter(isOfFastify)
    .flatMap(({ name }) => name !== undefined && ts.isIdentifier(name) ? [name.text] : [])
  t.ok(decorators.length > 30)
  const used = new Set(fileNames.flatMap(file => usesIn(sourceOf(file)).map(({ decorator }) => decorator)))
  t.strictSame(decorators.filter(decorator => !used.has(decorator)), [])
  t.ok(used.has('redis'), 'those of the packages, too')
})
