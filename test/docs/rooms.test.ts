import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { rooms } from '../../scripts/rooms.mjs'

/** The project's folder: the tests are built elsewhere, where package.json is a link and type imports are gone. */
const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const filesIn = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(file => join(folder, file)).sort()

const design = read('docs/design.md')
const libFiles = filesIn('lib').filter(file => /\.(ts|lua)$/.test(file))
const sources = ['app.ts', ...['plugins', 'routes', 'lib'].flatMap(filesIn)].filter(file => file.endsWith('.ts'))
/** An arrow as `from → to`. */
const arrowsOf = (table: Readonly<Record<string, readonly string[]>>) =>
  Object.entries(table).flatMap(([from, targets]) => targets.map(to => `${from} → ${to}`)).sort()
const isIn = (file: string, room: string) => file === room || file.startsWith(`${room}/`)
const roomOf = (file: string) => Object.keys(rooms).find(room => isIn(file, room))

/** Files of the project that a file imports, types included. */
function importsOf (file: string): string[] {
  return ts.preProcessFile(read(file)).importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => normalize(join(dirname(file), fileName)))
}

const imports = new Map(sources.map(file => [file, importsOf(file)]))

/** The Mermaid picture: nodes by id, and arrows between them. A subgraph is a node, too. */
function parsePicture (): { nodes: string[], groups: string[], arrows: string[] } {
  const picture = /^```mermaid\n(.*?)^```$/ms.exec(design)?.[1] ?? ''
  const labels = new Map([...picture.matchAll(/(\w+)\["([^"]+)"\]/g)].map(([, id = '', label = '']) => [id, label]))
  const labelOf = (id: string) => labels.get(id) ?? `${id} (no node)`
  const arrows = [...picture.matchAll(/^\s*(\w+) --> (.+)$/gm)].flatMap(([, from = '', targets = '']) =>
    targets.split(' & ').map(to => `${labelOf(from)} → ${labelOf(to)}`))
  const groups = [...picture.matchAll(/^\s*subgraph (\w+)\[/gm)].map(([, id = '']) => labelOf(id))
  return { nodes: [...labels.values()].filter(label => !groups.includes(label)).sort(), groups, arrows: arrows.sort() }
}

t.test('every folder of lib is a room of the table or in one, and every room exists', async t => {
  const inNoRoom = libFiles.filter(file => dirname(file) !== 'lib' && roomOf(file) === undefined)
  t.strictSame(inNoRoom, [])
  for (const room of Object.keys(rooms)) t.ok(libFiles.some(file => isIn(file, room)), room)
})

t.test('the picture in docs/design.md shows the rooms and arrows of the table, and no others', async t => {
  const { nodes, groups, arrows } = parsePicture()
  t.ok(nodes.length > 10 && arrows.length > 20)
  t.strictSame(nodes, Object.keys(rooms).sort())
  t.strictSame(arrows, arrowsOf(rooms))
  for (const group of groups) t.ok(nodes.some(node => isIn(node, group)), group)
})

t.test('docs/design.md says of each room what it may import', async t => {
  const bullets = design.split(/^- /m).map(text => text.replace(/\s+/g, ' '))
  const said = bullets.flatMap(bullet => {
    const sentence = /^`(lib\/[^`]+)` holds [^;]+; it may import ([^;]+?)\.(?: |$)/.exec(bullet)
    const [, room = '', targets = ''] = sentence ?? []
    const allowed = [...targets.matchAll(/`([^`]+)`/g)].map(([, target = '']) => target)
    return sentence === null ? [] : [[room, allowed]]
  })
  t.strictSame(Object.fromEntries(said), rooms)
})

t.test('the rooms import what the table says, types included', async t => {
  const used = new Set<string>()
  for (const [file, targets] of imports) {
    const from = roomOf(file)
    for (const target of targets) {
      const to = roomOf(target)
      if (!file.startsWith('lib/') || to === from) continue
      const isGround = dirname(target) === 'lib'
      const arrow = from && rooms[from]?.find(allowed => isIn(target, allowed))
      t.ok(isGround || arrow !== undefined, `${file} imports ${target}`)
      if (arrow !== undefined) used.add(`${from} → ${arrow}`)
    }
  }
  t.ok(used.size > 15, `${used.size} arrows are used`)
})

t.test('no file imports itself by way of others, types included', async t => {
  t.ok(imports.size > 100)
  t.ok([...imports.values()].flat().every(file => imports.has(file)), 'every imported file is known')
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (done.has(file) || path.includes(file)) return
    for (const target of imports.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  t.strictSame(circles, [])
})

t.test('docs/design.md names the plugins in the phases and the order of app.ts', async t => {
  const kebab = (name: string) => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  const list = /^const phases[^]*?^}$/m.exec(read('app.ts'))?.[0] ?? ''
  const phases = [...list.matchAll(/^\s+(\w+): \[([^\]]+)\]/gm)]
    .map(([, phase, names = '']) => [phase, [...names.matchAll(/\w+/g)].map(([name]) => kebab(name))])
  const rows = [...design.matchAll(/^\| (\w+) \| (`[a-z-]+`(?:, `[a-z-]+`)*) \| [^|]+ \|$/gm)]
    .map(([, phase, names = '']) => [phase, names.split(', ').map(name => name.slice(1, -1))])
  t.ok(phases.length > 3)
  t.strictSame(rows, phases)
  const files = filesIn('plugins').map(file => basename(file, '.ts'))
  t.strictSame(phases.flatMap(([, names]) => names).sort(), files.sort())
})

t.test('every file that docs/design.md names exists', async t => {
  const named = [...design.matchAll(/`((?:lib|plugins|routes|scripts)\/[\w./-]+)`/g)].map(([, file = '']) => file)
  t.ok(named.length > 40)
  for (const file of named) t.ok(existsSync(join(root, file)), file)
})
