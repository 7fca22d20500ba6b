import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createToolNames, defaultPrefix, findClash } from '../../../../lib/mcp/servers-file/tool-names.ts'

/** Servers by name; each has its name for a prefix unless another is said. */
const servers = (...names: Array<string | [name: string, prefix: string]>) =>
  names.map(
    name => typeof name === 'string' ? { name, prefix: defaultPrefix(name) } : { name: name[0], prefix: name[1] }
  )

const allowed = /^[A-Za-z0-9_-]{1,64}$/

t.test('one server\'s tools keep their names exactly', async t => {
  const names = createToolNames(servers('weather'))
  for (const tool of ['forecast', 'weather__forecast', 'get.weather', '', 'x'.repeat(200), '__proto__']) {
    t.strictSame([names.exposedName('weather', tool), names.serverOf(tool)], [tool, 'weather'])
  }
})

t.test('several servers\' tools have the server before their names', async t => {
  const names = createToolNames(servers('weather', ['charts', 'c']))
  t.equal(names.exposedName('weather', 'forecast'), 'weather__forecast')
  t.equal(names.exposedName('charts', 'get-charts_data'), 'c__get-charts_data')
  t.equal(names.serverOf('weather__forecast'), 'weather')
  t.equal(names.serverOf('c__get-charts_data'), 'charts')
  t.equal(names.serverOf('c__'), 'charts', 'whether there is such a tool is for the server to say')
})

t.test('a name that no server can have is nobody\'s', async t => {
  const names = createToolNames(servers('weather', 'charts'))
  for (const name of [
    '', 'forecast', 'weather', 'weather_forecast', 'Weather__forecast', 'weather2__forecast', '__forecast',
    '__proto__', 'constructor'
  ]) {
    t.equal(names.serverOf(name), null, name)
  }
  t.equal(createToolNames([]).serverOf('forecast'), null)
})

t.test('other characters are replaced, and the hash says which they were', async t => {
  const { exposedName } = createToolNames(servers('weather', 'charts'))
  t.equal(exposedName('weather', 'get.weather'), 'weather__get_weather_db2e3636')
  t.match(exposedName('weather', 'Wetter in Zürich 🙂'), /^weather__Wetter_in_Z_rich___[0-9a-f]{8}$/)
  t.match(exposedName('weather', '東京'), /^weather_____[0-9a-f]{8}$/)
  t.not(exposedName('weather', 'a.b').slice(-8), exposedName('charts', 'a.b').slice(-8), 'and whose they are')
  const names = ['a.b', 'a/b', 'a b', 'a_b', 'a:b', '.a_b'].map(tool => exposedName('weather', tool))
  t.equal(new Set(names).size, names.length)
})

t.test('the documentation\'s example is what comes out', async t => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'servers-file.md'), 'utf8')
  t.ok(text.includes(createToolNames(servers('weather', 'charts')).exposedName('weather', 'get.weather')))
})

t.test('a long name is cut to 64 characters, its prefix is not', async t => {
  const prefix = 'p'.repeat(32)
  const { exposedName, serverOf } = createToolNames(servers(['weather', prefix], 'charts'))
  t.equal(exposedName('charts', 'x'.repeat(56)), `charts__${'x'.repeat(56)}`, 'what just fits is kept')
  t.match(exposedName('charts', 'x'.repeat(57)), /^charts__x{47}_[0-9a-f]{8}$/)

  const [one, other] = ['1', '2'].map(end => exposedName('weather', 'x'.repeat(1_000) + end)) as [string, string]
  for (const name of [one, other]) {
    t.match(name, allowed)
    t.match(name, new RegExp(`^${prefix}__x{21}_[0-9a-f]{8}$`))
    t.equal(serverOf(name), 'weather')
  }
  t.not(one, other)
})

t.test('names of nothing but underscores, and empty ones, are names', async t => {
  for (const prefix of ['weather', '_', '', '__']) {
    const { exposedName, serverOf } = createToolNames(servers(['weather', prefix], 'charts'))
    const names = ['', '_', '__', '___', '.', '..', ' '].map(tool => exposedName('weather', tool))
    for (const name of names) {
      t.match(name, allowed, JSON.stringify(name))
      t.equal(serverOf(name), 'weather', name)
    }
    t.equal(new Set(names).size, names.length)
  }
})

t.test('one server may keep its names, and has what is nobody else\'s', async t => {
  const { exposedName, serverOf } = createToolNames(servers(['weather', ''], ['charts', 'c']))
  for (const tool of ['forecast', 'my__tool', 'c_x', 'c-__x', '__proto__']) {
    t.strictSame([exposedName('weather', tool), serverOf(tool)], [tool, 'weather'])
  }
  t.equal(serverOf('c__draw'), 'charts')
})

t.test('a tool without a prefix cannot take the place of another server\'s', async t => {
  const { exposedName, serverOf } = createToolNames(
    servers(['weather', ''], ['charts', 'c'], ['data', 'c' + 'x'.repeat(31)])
  )
  const tools = [
    'c__draw', 'c___draw', 'c__', 'c__.', 'c__' + 'y'.repeat(70), 'c' + 'x'.repeat(31) + '__' + 'y'.repeat(40),
    'c._draw', 'c' + 'x'.repeat(31) + '_.'
  ]
  const names = tools.map(tool => exposedName('weather', tool))
  for (const name of names) {
    t.match(name, allowed)
    t.equal(serverOf(name), 'weather', name)
  }
  t.equal(new Set(names).size, names.length)
})

t.test('every name leads back to its server, whatever the prefixes', async t => {
  const pieces = ['', '_', '__', 'a', 'a_', '_a', 'b', '-', 'a_b', 'ab', 'a__b']
  const tools = new Set(pieces.flatMap(first => pieces.map(second => first + second)))
  let checked = 0
  for (const one of pieces) {
    for (const other of pieces) {
      const specs = servers(['one', one], ['other', other])
      if (findClash(specs) !== null) continue
      checked++
      const { exposedName, serverOf } = createToolNames(specs)
      const seen = new Map<string, string>()
      for (const { name: server } of specs) {
        for (const tool of tools) {
          const name = exposedName(server, tool)
          if (serverOf(name) !== server || seen.has(name)) t.fail(`${server} ${tool}: ${name}`)
          seen.set(name, server)
        }
      }
    }
  }
  t.ok(checked > 40)
})

t.test('prefixes that cannot tell tools apart are found, and the two servers', async t => {
  const clashing: Array<[string, string]> = [
    ['a', 'a'], ['', ''], ['a', 'a__b'], ['a__b', 'a'], ['a', 'a_'], ['_', '__'], ['a', 'a__']
  ]
  for (const [one, other] of clashing) {
    const found = findClash(servers(['one', one], ['three', 'c'], ['other', other]))
    t.strictSame(found?.map(({ name }) => name), ['one', 'other'], `${one} ${other}`)
  }
})

t.test('others are taken', async t => {
  const taken: Array<[string, string]> = [
    ['a', 'b'], ['a', 'ab'], ['a', 'a_b'], ['a', 'A'], ['', 'a'], ['', '_'], ['a', '_a'], ['a-', 'a']
  ]
  for (const [one, other] of taken) {
    t.equal(findClash(servers(['one', one], ['other', other])), null, `${one} ${other}`)
  }
  t.equal(findClash(servers('alone')), null)
  t.equal(findClash([]), null)
})

t.test('a server that there is not has no tools', async t => {
  t.throws(() => createToolNames(servers('weather', 'charts')).exposedName('nobody', 'forecast'))
})
