import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import semver from 'semver'
import t from 'tap'

/** The project's folder: the tests are built elsewhere, where package.json is a link. */
const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const read = (file: string) => readFileSync(join(root, file), 'utf8')

interface Manifest {
  engines: { node: string }
  overrides?: Record<string, Record<string, string>>
  devDependencies: Record<string, string>
}
const { engines, overrides = {}, devDependencies } = JSON.parse(read('package.json')) as Manifest
const oldest = semver.minVersion(engines.node)?.version ?? ''
const section = read('docs/design.md').split('## What only Node 20 needs')[1]?.split('\n## ')[0] ?? ''

/** Sources that speak of Node 20. */
const sources = ['app.ts', ...['lib', 'plugins', 'routes', 'scripts', 'test', 'bench', 'examples', 'deploy']
  .flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(name => join(folder, name)))]
  .filter(file => /\.(ts|mts|mjs)$/.test(file) && !/nodes\.mjs|nodes\.test|node-20\.test/.test(file))
const marked = sources.filter(file => /Node 20\b/.test(read(file))).sort()

t.test('each installed package runs on the oldest Node that the service is for', async t => {
  const { packages } = JSON.parse(read('package-lock.json')) as
    { packages: Record<string, { engines?: { node?: string } | string[] }> }
  const picky = Object.entries(packages).filter(([, { engines }]) => {
    const range = Array.isArray(engines) ? undefined : engines?.node
    return range !== undefined && !semver.satisfies(oldest, range)
  })
  t.ok(Object.keys(packages).length > 500)
  t.strictSame(picky.map(([path]) => path), [])
})

t.test('what only Node 20 needs is listed, and goes with it', async t => {
  const isFor20 = semver.major(oldest) < 22
  const pins = Object.entries(overrides).flatMap(([of, inner]) =>
    Object.keys(inner).map(name => `override of \`${name}\` for \`${of}\``))
  const types = semver.minVersion(devDependencies['@types/node'] ?? '')?.major
  t.equal(types, semver.major(oldest), 'the types are those of the oldest Node')
  if (!isFor20) {
    const rests = [...pins, ...marked, ...(section === '' ? [] : ['a section of docs/design.md'])]
    t.strictSame(rests, [], 'Node 20 is no longer taken: these can go')
    return
  }
  const rows = [...section.matchAll(/^\| (.+?) \| .+ \|$/gm)].map(([, what = '']) => what).slice(1)
  t.strictSame(rows.filter(row => row.startsWith('override')).sort(), pins.sort())
  const files = rows.flatMap(row => [...row.matchAll(/`([\w./-]+\/[\w.-]+\.\w+)`/g)].map(([, file = '']) => file))
  t.strictSame(files.sort(), marked)
  t.ok(marked.length > 0)
  for (const [, name = '', major] of section.matchAll(/^\| `([\w@/-]+)` (\d+) \|/gm)) {
    t.equal(semver.minVersion(devDependencies[name] ?? '')?.major, Number(major), name)
  }
})
