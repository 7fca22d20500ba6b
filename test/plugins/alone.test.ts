import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { build, environment } from '../support/service.ts'

interface Plugin {
  register: FastifyPluginAsync<{ env: Record<string, string | undefined> }>
  /** As fastify-plugin keeps them. */
  name: string
  dependencies: readonly string[]
}

interface PluginMeta { name?: string, dependencies?: string[] }

async function readPlugin (path: string): Promise<Plugin> {
  const { default: register } = await import(path) as { default: Plugin['register'] }
  const meta = (register as unknown as Record<symbol, PluginMeta>)[Symbol.for('plugin-meta')]
  return { register, name: meta?.name ?? '', dependencies: meta?.dependencies ?? [] }
}

const folder = join(import.meta.dirname, '..', '..', 'plugins')
const files = readdirSync(folder).filter(name => /\.[jt]s$/.test(name))
const plugins = new Map(await Promise.all(files.map(async file => {
  return [basename(file).replace(/\.[jt]s$/, ''), await readPlugin(join(folder, file))] as const
})))

type Graph = ReadonlyMap<string, Pick<Plugin, 'dependencies'>>

/** The names of what a plugin needs and of itself, each after what it needs. Throws where two need each other. */
function inOrder (name: string, graph: Graph, path: readonly string[] = []): string[] {
  if (path.includes(name)) throw new Error(`these need each other: ${[...path, name].join(', ')}`)
  const plugin = graph.get(name)
  if (plugin === undefined) throw new Error(`${path.at(-1)} needs ${name}, which is no plugin`)
  return [...new Set([...plugin.dependencies.flatMap(dependency => inOrder(dependency, graph, [...path, name])), name])]
}

t.test('a plugin has the name of its file', async t => {
  t.ok(plugins.size > 25)
  for (const [file, { name }] of plugins) t.equal(name, file)
})

t.test('app.ts registers every plugin', async t => {
  const app = await build(t)
  for (const name of plugins.keys()) t.ok(app.hasPlugin(name), name)
})

t.test('plugins that need each other, or one that is not there, are found', async t => {
  const needs = (...dependencies: string[]) => ({ dependencies })
  const graph = new Map([['a', needs('b')], ['b', needs('c')], ['c', needs('b')], ['d', needs('e')]])
  t.throws(() => inOrder('a', graph), { message: 'these need each other: a, b, c, b' })
  t.throws(() => inOrder('d', graph), { message: 'd needs e, which is no plugin' })
})

for (const name of plugins.keys()) {
  t.test(`${name} works with nothing but what it declares`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    const env = await environment(t)
    for (const needed of inOrder(name, plugins)) await app.register(plugins.get(needed)?.register ?? missing, { env })
    app.get('/alone', async () => ({ answered: true }))
    t.strictSame((await app.inject('/alone')).json(), { answered: true })
  })
}

const missing = async () => { throw new Error('there is no such plugin') }
